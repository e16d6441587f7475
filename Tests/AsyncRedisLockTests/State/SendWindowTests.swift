import Testing

@testable import AsyncRedisLock

@Suite("The window of unanswered bytes", .timeLimit(.minutes(1)))
struct SendWindowTests {
  /// A link that carries so many bytes a second, one after the other, and answers half a round trip later.
  private struct Link {
    let bytesPerSecond: Double
    var roundTrip: Duration
    var window = SendWindow()
    var now = Instant.now
    /// What was sent, in packets as a connection makes them, and when it is answered.
    private var packets: [(sentAt: Instant, answeredAt: Instant)] = []
    private var answeredCount = 0
    private var freeAt = Instant.now
    private static let packetSize = 1400
    /// The longest that an answer has taken since this was last set.
    var slowest = Duration.zero

    init(bytesPerSecond: Double, roundTrip: Duration) {
      (self.bytesPerSecond, self.roundTrip) = (bytesPerSecond, roundTrip)
    }

    var answeredBytes: Double { Double(answeredCount * Self.packetSize) }

    /// Sends as much as the window allows, for a while.
    mutating func run(for time: Duration) {
      let end = now + time
      while now < end {
        while (packets.count - answeredCount) * Self.packetSize < window.size {
          freeAt = max(freeAt, now) + .seconds(Double(Self.packetSize) / bytesPerSecond)
          packets.append((now, freeAt + roundTrip))
        }
        window.isFull = true
        let next = packets[answeredCount]
        now = max(now, next.answeredAt)
        answeredCount += 1
        slowest = max(slowest, next.sentAt.duration(to: now))
        window.answered(Self.packetSize, sentAt: next.sentAt, at: now)
      }
    }
  }

  @Test(
    "On a slow link, what is sent waits a few hundred milliseconds at most",
    arguments: [100_000.0, 300_000, 1_000_000])
  func slowLink(bytesPerSecond: Double) {
    var link = Link(bytesPerSecond: bytesPerSecond, roundTrip: .milliseconds(2))
    link.run(for: .seconds(2))
    link.slowest = .zero
    link.run(for: .seconds(20))
    #expect(link.slowest < .milliseconds(250), "\(link.slowest)")
    #expect(link.answeredBytes > 0.9 * 22 * bytesPerSecond, "the link is used")
  }

  @Test("On a fast link to a server far away, the window is soon as large as the link needs")
  func farLink() {
    var link = Link(bytesPerSecond: 20e6, roundTrip: .milliseconds(200))
    link.run(for: .seconds(2))
    let before = link.answeredBytes
    link.run(for: .seconds(10))
    #expect(link.answeredBytes - before > 0.7 * 10 * 20e6)
  }

  @Test("A crowd that comes at the beginning is sent to a server far away in a few round trips")
  func crowdAtFirst() {
    var link = Link(bytesPerSecond: 100e6, roundTrip: .milliseconds(200))
    link.run(for: .milliseconds(900))
    #expect(link.answeredBytes > 4e6)
  }

  @Test("If the way to the server becomes longer, the link is used again after a while")
  func longerWay() {
    var link = Link(bytesPerSecond: 10e6, roundTrip: .milliseconds(1))
    link.run(for: .seconds(5))
    link.roundTrip = .milliseconds(300)
    link.run(for: .seconds(15))
    let before = link.answeredBytes
    link.run(for: .seconds(10))
    #expect(link.answeredBytes - before > 0.5 * 10 * 10e6)
  }

  @Test(
    "The window does not grow while nothing waits for it, and a pause of the server spoils little")
  func pauses() {
    var window = SendWindow()
    let (first, start) = (window.size, Instant.now)
    window.answered(50_000, sentAt: start, at: start + .milliseconds(1))
    #expect(window.size == first)
    window.isFull = true
    window.answered(50_000, sentAt: start, at: start + .milliseconds(1))
    #expect(window.size == first + 150_000)
    // All that was on its way is late, which counts once.
    let large = window.size
    for _ in 0..<100 { window.answered(1000, sentAt: start, at: start + .milliseconds(202)) }
    #expect(window.size >= large / 2 && window.size < large)
    let next = start + .milliseconds(202)
    while window.size < large { window.answered(1000, sentAt: next, at: next + .milliseconds(1)) }
    for number in 0..<4 {
      let late = next + .seconds(2 * number)
      window.answered(1000, sentAt: late, at: late + .seconds(1))
    }
    #expect(window.size >= 16 * 1024)
  }
}
