#if CommandLineTool
  import Foundation
  import Testing

  @Suite("The packages of redis-lock", .timeLimit(.minutes(1)))
  struct PackagingTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../../Packaging").standardized

    @Test(
      "Each way to build redis-lock for an installation switches TLS on",
      arguments: ["install", "redis-lock.rb"])
    func builtWithTLS(name: String) throws {
      let text = try String(contentsOf: Self.folder.appending(path: name), encoding: .utf8)
      // A list of traits stands in place of the default ones.
      let traits = try #require(text.firstMatch(of: #/--traits\W+([A-Za-z,]+)/#)?.1)
      #expect(traits.split(separator: ",").contains("TLS"), "\(traits)")
    }

    @Test(
      "A package or an image is tried with a URL for TLS", arguments: ["deb-test", "image-test"])
    func triedWithTLS(name: String) throws {
      let text = try String(contentsOf: Self.folder.appending(path: name), encoding: .utf8)
      #expect(text.contains("rediss://"))
    }
  }
#endif
