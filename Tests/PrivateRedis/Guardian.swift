import Foundation

/// A folder, and a shell that outlives this process just long enough to clean up after it.
///
/// The shell reads from a socket whose other end only this process holds. When this process ends, even by SIGKILL,
/// that end is closed. The shell then kills the server that it was told of last, and removes the folder.
final class Guardian: Sendable {
  /// The folder, which exists as long as this object does.
  let directory: String
  private let socket: Socket
  private let shell: ChildProcess

  /// Makes the folder and starts the shell.
  ///
  /// - Throws: ``RedisError`` or a Foundation error.
  init() throws {
    // The path of a Unix socket must fit into 104 bytes on macOS.
    let temporary = NSTemporaryDirectory()
    let base = URL(filePath: temporary.utf8.count > 60 ? "/tmp" : temporary)
    let name = "redis-" + String(UInt64.random(in: .min ... .max), radix: 36)
    directory = base.appending(path: name).path(percentEncoded: false)
    let (ours, theirs) = try Socket.pair()
    socket = ours
    try FileManager.default.createDirectory(
      atPath: directory, withIntermediateDirectories: false,
      attributes: [.posixPermissions: 0o700])
    do {
      shell = try ChildProcess(
        script: Self.script, arguments: [directory],
        input: .descriptor(theirs.descriptor), output: .null, errors: .null)
    } catch {
      try? FileManager.default.removeItem(atPath: directory)
      throw error
    }
  }

  /// The script of the shell; each line it reads is the number of a new server, or empty when the server has ended.
  ///
  /// Removing is repeated because the killed server may be about to make another file.
  private static let script = """
    trap '' INT TERM HUP
    server=
    while read -r line; do server=$line; done
    [ -z "$server" ] || kill -KILL "$server"
    for attempt in 1 2 3 4 5 6 7 8 9; do
      rm -rf "$1" && exit
      sleep 0.1
    done
    """

  deinit {
    _ = shutdown(socket.descriptor, Int32(SHUT_RDWR))
    shell.waitForEnd()
  }

  /// Starts a command that is killed when this process ends.
  ///
  /// The new process itself tells the guardian its number before it becomes the command. Until then, it holds the
  /// guardian's socket open, so the process is guarded at every instant.
  ///
  /// - Throws: ``RedisError/start(_:)``.
  func start(_ command: [String], log: String) throws -> ChildProcess {
    try ChildProcess(
      script: #"echo $$ && exec "$@" >&2"#, arguments: command,
      input: .null, output: .descriptor(socket.descriptor), errors: .newFile(log))
  }

  /// Reports that the command has ended and was reaped, since the system may reuse its number.
  func forget() {
    try? socket.write([UInt8(ascii: "\n")])
  }
}
