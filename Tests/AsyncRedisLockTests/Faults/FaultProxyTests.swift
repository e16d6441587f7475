import FaultProxy
import Foundation
import PrivateRedis
import Testing

@Suite("The fault proxy", .timeLimit(.minutes(2)), .redisServer())
struct FaultProxyTests {
  /// A client that has sent three commands through a proxy, and records the bytes that come back.
  private final class Guest: Sendable {
    let proxy: FaultProxy
    private let wire: FakeWire
    private let heard = Recorder<[UInt8]>()
    private let end = Recorder<Bool>()

    /// Connects, and makes a fault happen to the second message in a direction.
    init(_ direction: FaultProxy.Direction, _ fault: Fault) throws {
      proxy = try FaultProxy(to: .current)
      proxy.setScript { $0.direction == direction && $0.index == 1 ? fault : .forward }
      let port = try #require(URL(string: proxy.url)?.port)
      wire = try FakeWire(connectingTo: .tcp(port: UInt16(port)))
      Thread.detachNewThread { [wire, heard, end] in
        while let bytes = wire.receive() { heard.record(bytes) }
        end.record(true)
      }
    }

    deinit {
      wire.hangUp()
      proxy.stop()
    }

    func say(_ words: String...) {
      for word in words {
        wire.write(Array("*2\r\n$4\r\nECHO\r\n$\(word.utf8.count)\r\n\(word)\r\n".utf8))
      }
    }

    /// Everything that has come back.
    var text: String { String(decoding: heard.values.joined(), as: UTF8.self) }
    /// The number of pieces in which it came back.
    var pieceCount: Int { heard.values.count }
    var isOver: Bool { !end.values.isEmpty }
  }

  private func echo(_ words: String...) -> String {
    words.map { "$\($0.utf8.count)\r\n\($0)\r\n" }.joined()
  }

  @Test("The fault proxy forwards and remembers messages without a fault")
  func forward() async throws {
    let guest = try Guest(.replies, .forward)
    guest.say("a", "b", "c")
    await eventually { guest.text == echo("a", "b", "c") }
    #expect(String(decoding: guest.proxy.received(.replies, on: 0), as: UTF8.self) == guest.text)
  }

  @Test("The fault proxy swallows, duplicates and replaces commands and replies")
  func change() async throws {
    let swallowed = try Guest(.replies, .swallow)
    swallowed.say("a", "b", "c")
    await eventually { swallowed.text == echo("a", "c") }
    let unasked = try Guest(.requests, .swallow)
    unasked.say("a", "b", "c")
    await eventually { unasked.text == echo("a", "c") }
    let doubled = try Guest(.replies, .duplicate)
    doubled.say("a", "b", "c")
    await eventually { doubled.text == echo("a", "b", "b", "c") }
    let asked = try Guest(.requests, .duplicate)
    asked.say("a", "b", "c")
    await eventually { asked.text == echo("a", "b", "b", "c") }
    let replaced = try Guest(.replies, .replace(Array("-NO\r\n".utf8)))
    replaced.say("a", "b", "c")
    await eventually { replaced.text == echo("a") + "-NO\r\n" + echo("c") }
  }

  @Test("The fault proxy delays a message and everything behind it")
  func delay() async throws {
    let guest = try Guest(.replies, .delay(.milliseconds(200)))
    let start = ContinuousClock.now
    guest.say("a", "b", "c")
    await eventually { guest.text.hasPrefix(echo("a")) }
    await eventually { guest.text == echo("a", "b", "c") }
    #expect(start.duration(to: .now) >= .milliseconds(200))
  }

  @Test("The fault proxy forwards a message in drips")
  func drip() async throws {
    let guest = try Guest(.replies, .drip(count: 1, every: .milliseconds(5)))
    guest.say("a", "bb", "c")
    await eventually { guest.text == echo("a", "bb", "c") }
    #expect(guest.pieceCount > 4)
  }

  @Test("The fault proxy cuts and resets after the given number of bytes")
  func cut() async throws {
    for fault in [Fault.cut(after: 3), .reset(after: 3), .halfClose(after: 3)] {
      let guest = try Guest(.replies, fault)
      guest.say("a", "b", "c")
      await eventually("it is over") { guest.isOver }
      // A reset may overtake bytes that were sent before it.
      let expected = echo("a") + "$1\r"
      if case .reset = fault {
        #expect(expected.hasPrefix(guest.text))
      } else {
        #expect(guest.text == expected)
      }
    }
  }

  @Test("As a black hole, the fault proxy falls silent and does not hang up")
  func blackhole() async throws {
    let guest = try Guest(.replies, .blackhole(after: 2))
    guest.say("a", "b", "c")
    await eventually { guest.text == echo("a") + "$1" }
    guest.say("d")
    await eventually("the proxy gets it") {
      String(decoding: guest.proxy.received(.requests, on: 0), as: UTF8.self).contains("d\r\n")
    }
    #expect(guest.text == echo("a") + "$1")
    #expect(!guest.isOver)
  }

  @Test("The fault proxy sends FIN, and resets if the other side sends anything after that")
  func finishThenReset() async throws {
    let guest = try Guest(.replies, .finishThenReset(after: 4))
    guest.say("a", "b", "c")
    await eventually("it is over") { guest.isOver }
    #expect(guest.text == echo("a") + "$1\r\n")
  }

  @Test("The fault proxy refuses connections if told to")
  func refuse() async throws {
    let guest = try Guest(.replies, .forward)
    guest.proxy.refuse(true)
    let port = try #require(URL(string: guest.proxy.url)?.port)
    let other = try FakeWire(connectingTo: .tcp(port: UInt16(port)))
    #expect(other.receive() == nil)
  }
}
