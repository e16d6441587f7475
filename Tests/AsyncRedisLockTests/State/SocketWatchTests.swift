import FaultProxy
import Foundation
import Testing

@testable import AsyncRedisLock

@Suite("The watch on a socket", .timeLimit(.minutes(2)))
struct SocketWatchTests {
  private let ours: FakeWire
  private let theirs: FakeWire

  init() throws {
    let (ours, theirs) = try FakeWire.pair()
    (self.ours, self.theirs) = (ours, FakeWire(adopting: theirs))
  }

  /// The events that poll(2) reports for a descriptor.
  private func events(of descriptor: CInt) -> CInt {
    var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return unsafe poll(&entry, 1, 0) < 0 ? -1 : CInt(entry.revents)
  }

  @Test("A watch is readable while its socket is, and is closed in child processes")
  func readable() throws {
    let watch = try AsyncRedisLock.FileDescriptor.watching(ours.descriptor, for: .reading)
    #expect(events(of: watch.number) == 0)
    #expect(theirs.write([1]) == 1)
    #expect(events(of: watch.number) == CInt(POLLIN))
    #expect(ours.receive() == [1])
    #expect(events(of: watch.number) == 0)
    #expect(fcntl(watch.number, F_GETFD) & FD_CLOEXEC != 0)
  }

  #if os(Linux)
    @Test(
      "A watch is readable when its socket is hung up, but is not hung up itself",
      arguments: [true, false])
    func hungUp(withUnreadBytes: Bool) throws {
      let watch = try AsyncRedisLock.FileDescriptor.watching(ours.descriptor, for: .reading)
      if withUnreadBytes { #expect(theirs.write([1]) == 1) }
      theirs.hangUp()
      #expect(events(of: ours.descriptor) & POLLHUP != 0, "otherwise the test shows nothing")
      #expect(events(of: watch.number) == POLLIN)
    }
  #endif

  @Test("A watch for writing is readable when its socket takes bytes or is connected")
  func writable() throws {
    let watch = try AsyncRedisLock.FileDescriptor.watching(ours.descriptor, for: .writing)
    #expect(events(of: watch.number) != 0)
    var chunk = [UInt8](repeating: 0, count: 65536)
    while unsafe send(ours.descriptor, &chunk, chunk.count, CInt(MSG_DONTWAIT)) > 0 {}
    #expect(events(of: watch.number) == 0)
  }

  @Test("A watch cannot be made for a closed descriptor")
  func refused() {
    #expect(throws: TransportError.unreachable("Bad file descriptor")) {
      _ = try AsyncRedisLock.FileDescriptor.watching(-1, for: .reading).number
    }
  }
}
