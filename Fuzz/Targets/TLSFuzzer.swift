@testable import AsyncRedisLock

/// The record layer: whatever a server sends in place of TLS, and however it is split, the stream waits for more or
/// fails, for good and with a reason.
enum TLSFuzzer {
  private static let context = try? TLSContext.of(.init())

  static func run(_ input: inout FuzzInput) {
    guard let context else { fatalError("no context for TLS") }
    let size = Int(input.byte()) + 1
    let wire = Wire()
    let socket = SocketStream(adopting: FileDescriptor(adopting: wire.client))
    let peer = TLSPeer(host: "localhost", serverName: nil)
    guard let stream = try? TLSStream(on: socket, in: context, with: peer) else {
      fatalError("no session")
    }
    var failure = shakeHands(stream)
    verify(failure == nil, "failed before anything came: \(failure as Any)")
    var rest = input.rest
    while !rest.isEmpty, failure == nil {
      let piece = rest.prefix(min(size, 4096))
      rest = rest.dropFirst(piece.count)
      wire.send(piece)
      failure = shakeHands(stream)
    }
    guard let failure else { return }
    verify(!"\(failure)".contains("unknown error"), "fails without a reason: \(failure)")
    verify(shakeHands(stream) != nil, "goes on behind \(failure)")
  }

  /// Goes on with the handshake, which nothing without a certificate can complete; returns the failure.
  private static func shakeHands(_ stream: TLSStream) -> TransportError? {
    do throws(TransportError) {
      if case .complete = try stream.shakeHands() {
        fatalError("a handshake without a certificate")
      }
      return nil
    } catch {
      return error
    }
  }
}
