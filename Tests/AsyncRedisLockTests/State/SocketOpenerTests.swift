import FaultProxy
import Testing

@testable import AsyncRedisLock

@Suite("The opening of a socket", .timeLimit(.minutes(2)), .serialized)
struct SocketOpenerTests {
  @Test(
    "An opening that is given up closes its socket at once, however long it might still wait",
    .enabled("Elsewhere a full listener refuses.") { FullListener.isSilent })
  func cancelled() async throws {
    let full = try FullListener()
    let address = try LockerConfiguration(url: full.url).address
    let former = ProcessResources.current.descriptors
    let openers = (0..<50).map { _ in SocketOpener(LockerConfiguration(address: address)) }
    let outcomes = Recorder<Bool>()
    for opener in openers {
      opener.open(by: .now + .seconds(60)) { outcomes.record((try? $0.get()) != nil) }
    }
    await eventually("all of them wait") { ProcessResources.current.descriptors >= former + 50 }
    for opener in openers { opener.cancel() }
    await eventually("none of them waits") { ProcessResources.current.descriptors <= former + 4 }
    #expect(!outcomes.values.contains(true))
  }

  @Test("An opening that is refused says so at once")
  func refused() async throws {
    let closed = try FakeListener(.tcp, isOpen: false) { _ in }
    defer { closed.stop() }
    let opener = SocketOpener(try LockerConfiguration(url: closed.address.url))
    let outcomes = Recorder<Bool>()
    opener.open(by: .now + .seconds(60)) { outcomes.record((try? $0.get()) != nil) }
    await eventually { outcomes.values == [false] }
  }
}
