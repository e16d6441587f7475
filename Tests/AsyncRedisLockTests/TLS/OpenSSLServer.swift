#if TLS
  import Foundation
  import PrivateRedis
  import Testing

  @testable import AsyncRedisLock

  /// OpenSSL's own server, which takes commands at its standard input.
  final class OpenSSLServer: Sendable {
    private let process = Process()
    private let input = Pipe()
    /// A copy of the server's end of its input; `Process` closes the other.
    private let inputEnd: FileHandle
    private let pieces = Recorder<String>()

    init(_ identity: Certificates.Identity, _ options: [String] = []) throws {
      let output = Pipe()
      inputEnd = FileHandle(
        fileDescriptor: dup(input.fileHandleForReading.fileDescriptor), closeOnDealloc: true)
      process.executableURL = URL(filePath: "/usr/bin/env")
      process.arguments =
        [
          "openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", identity.certificate, "-key",
          identity.key, "-naccept", "1",
        ] + options
      process.standardInput = input
      process.standardOutput = output
      process.standardError = FileHandle.nullDevice
      output.fileHandleForReading.readabilityHandler = { [pieces] handle in
        pieces.record(String(decoding: handle.availableData, as: UTF8.self))
      }
      try process.run()
    }

    deinit { process.terminate() }

    /// What the server has printed, with all that it has received.
    var output: String { pieces.values.joined() }

    /// Stops the process, or lets it go on.
    func setPaused(_ isPaused: Bool) { _ = isPaused ? process.suspend() : process.resume() }

    func type(_ line: String) { input.fileHandleForWriting.write(Data(line.utf8)) }

    /// Whether it has read all that was typed: it takes a command only at the beginning of what it reads.
    var hasReadAll: Bool {
      var entry = pollfd(fd: inputEnd.fileDescriptor, events: Int16(POLLIN), revents: 0)
      return unsafe poll(&entry, 1, 0) == 0
    }

    /// The port that it listens at.
    func port() async -> String {
      var port: Substring?
      await eventually {
        port = output.firstMatch(of: /ACCEPT [^\n]*:([0-9]+)\n/)?.1
        return port != nil
      }
      return port.map(String.init) ?? "1"
    }
  }

  /// Opens a stream to the server of a URL, as a locker does before it logs in.
  ///
  /// - Throws: `TransportError`.
  func openStream(_ url: String) async throws -> any ByteStream {
    let opener = SocketOpener(try LockerConfiguration(url: url))
    return try await withCheckedThrowingContinuation { continuation in
      opener.open(by: .now + .seconds(5)) { continuation.resume(with: $0.mapError { $0 }) }
    }
  }

  /// Waits until a stream has delivered a text, and nothing else.
  func expectText(
    _ text: String, from stream: any ByteStream, sourceLocation: SourceLocation = #_sourceLocation
  ) async {
    var received = ""
    await eventually(sourceLocation: sourceLocation) {
      received += try readText(stream)
      return received == text
    }
  }

  /// The text that has arrived, up to 4 KiB.
  func readText(_ stream: any ByteStream) throws(TransportError) -> String {
    var bytes = [UInt8](repeating: 0, count: 4096)
    let result: Result<Int, TransportError> = unsafe bytes.withUnsafeMutableBytes { buffer in
      Result { () throws(TransportError) in try unsafe stream.read(into: buffer) }
    }
    return String(decoding: bytes.prefix(try result.get()), as: UTF8.self)
  }
#endif
