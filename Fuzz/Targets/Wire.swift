import Foundation

/// The far end of a connection, at which the fuzzer acts as the server.
struct Wire: ~Copyable {
  private let server: CInt
  /// The library's end, for the library to adopt.
  let client: CInt

  init() {
    var ends: [CInt] = [-1, -1]
    #if canImport(Darwin)
      let type = SOCK_STREAM
    #else
      let type = CInt(SOCK_STREAM.rawValue)
    #endif
    let result = unsafe socketpair(AF_UNIX, type, 0, &ends)
    verify(result == 0, "no socket pair")
    (server, client) = (ends[0], ends[1])
  }

  deinit { close(server) }

  /// Sends bytes to the library, which reads all of them before the next send.
  func send(_ bytes: ArraySlice<UInt8>) {
    guard !bytes.isEmpty else { return }
    let count = unsafe bytes.withUnsafeBytes { unsafe write(server, $0.baseAddress, $0.count) }
    verify(count == bytes.count, "the wire took \(count) bytes of \(bytes.count)")
  }
}
