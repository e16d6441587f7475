# The formula of a Homebrew tap; the release fills in the version and the checksum.
#
# It has not been run yet: that takes Homebrew on macOS, and the archive of a release.
class RedisLock < Formula
  desc "Run commands under a lock that is shared by way of Redis or Valkey"
  homepage "https://github.com/async-redis-lock/async-redis-lock"
  url "https://github.com/async-redis-lock/async-redis-lock/archive/refs/tags/@VERSION@.tar.gz"
  sha256 "@SHA256@"
  license "MIT"

  depends_on xcode: ["26.0", :build]
  depends_on "hiredis"
  depends_on macos: :sequoia
  depends_on "openssl@3"
  uses_from_macos "swift" => :build

  def install
    system "swift", "build", "--disable-sandbox", "-c", "release", "--product", "redis-lock",
           "--traits", "CommandLineTool,TLS"
    bin.install ".build/release/redis-lock"
    man1.install "Packaging/generated/redis-lock.1"
    bash_completion.install "Packaging/generated/redis-lock.bash" => "redis-lock"
    zsh_completion.install "Packaging/generated/_redis-lock"
    fish_completion.install "Packaging/generated/redis-lock.fish"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/redis-lock --version")
    # No server listens at this address.
    shell_output("#{bin}/redis-lock run --url redis://127.0.0.1:1 key -- true 2>&1", 69)
    # Without TLS, it would refuse this URL with another status.
    shell_output("#{bin}/redis-lock run --url rediss://127.0.0.1:1 key -- true 2>&1", 69)
  end
end
