import FaultProxy
import Foundation
import PrivateRedis

/// Connects a replica to its master, until it swallows what the master sends.
final class ReplicationLink: Sendable {
  private let listener: FakeListener
  private let isSilent: Shared<Bool>
  private let masters: Recorder<FakeWire>

  /// Starts to listen.
  ///
  /// - Throws: `POSIXError`.
  init(to port: Int) throws {
    let (isSilent, masters) = (Shared(false), Recorder<FakeWire>())
    (self.isSilent, self.masters) = (isSilent, masters)
    listener = try FakeListener(.tcp) { replica in
      guard let master = try? FakeWire(connectingTo: .tcp(port: UInt16(port))) else { return }
      masters.record(master)
      Thread.detachNewThread {
        while let bytes = replica.receive() { master.write(bytes) }
        master.hangUp()
      }
      Thread.detachNewThread {
        while let bytes = master.receive() { if !isSilent.value { replica.write(bytes) } }
        replica.hangUp()
      }
    }
  }

  /// The port for the replica.
  var port: String { if case .tcp(let port) = listener.address { "\(port)" } else { "" } }

  /// Forwards nothing to the replica from now on.
  func fallSilent() { isSilent.value = true }

  /// Hangs up on both sides, and accepts no more connections.
  func cut() {
    stop()
    for master in masters.values { master.hangUp() }
  }

  /// Accepts no more connections.
  func stop() { listener.stop() }
}
