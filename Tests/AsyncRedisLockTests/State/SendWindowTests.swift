import Testing

@testable import AsyncRedisLock

@Suite("The window of unanswered bytes", .timeLimit(.minutes(1)))
struct SendWindowTests {
  /// A link that carries so many bytes a second, one after the other, and answers in order.
  private struct Link {
    var bytesPerSecond: Double
    /// How many seconds the way there and back takes, in turn for 50 ms each.
    var roundTrips: [Double]
    /// What there is a crowd of.
    var crowd = PendingRequests.Choice.others
    private var window = SendWindow(operationTimeout: .seconds(1))
    private let start = Instant.now
    private var now = Instant.now
    /// What was sent, in packets as a connection makes them, and when it is answered.
    private var packets:
      [(sentAt: Instant, answeredAt: Instant, ahead: SendWindow.Unanswered, isExtension: Bool)] =
        []
    private var answeredCount = 0
    private var freeAt = Instant.now
    private var nextExtension = Instant.now
    private static let packetSize = 1400
    /// The longest that the answer to an extension has taken since this was last set.
    var slowest = Duration.zero

    init(bytesPerSecond: Double, roundTrips: [Double]) {
      (self.bytesPerSecond, self.roundTrips) = (bytesPerSecond, roundTrips)
    }

    var answeredBytes: Double { Double(answeredCount * Self.packetSize) }

    private var unanswered: SendWindow.Unanswered = (0, 0)

    /// Sends as much as the window allows for a while, and some extensions that it does not keep back.
    mutating func run(for time: Duration) {
      let end = now + time
      while now < end {
        while crowd == .others
          ? unanswered.others < window.othersSize : unanswered.extensions < window.extensionsSize
        { send(isExtension: crowd == .extensions) }
        window.waiting = crowd
        let next = packets[answeredCount]
        if nextExtension < next.answeredAt {
          now = max(now, nextExtension)
          nextExtension = now + .milliseconds(90)
          send(isExtension: true)
          continue
        }
        now = max(now, next.answeredAt)
        answeredCount += 1
        count(-Self.packetSize, isExtension: next.isExtension)
        if next.isExtension { slowest = max(slowest, next.sentAt.duration(to: now)) }
        window.answered(Self.packetSize, behind: next.ahead, sentAt: next.sentAt, at: now)
      }
    }

    private mutating func count(_ bytes: Int, isExtension: Bool) {
      if isExtension { unanswered.extensions += bytes } else { unanswered.others += bytes }
    }

    private mutating func send(isExtension: Bool) {
      freeAt = max(freeAt, now) + .seconds(Double(Self.packetSize) / bytesPerSecond)
      let turn = Int(start.duration(to: freeAt) / .milliseconds(50)) % roundTrips.count
      let arrival = freeAt + .seconds(roundTrips[turn])
      let answeredAt = max(arrival, packets.last?.answeredAt ?? arrival)
      packets.append((now, answeredAt, unanswered, isExtension))
      count(Self.packetSize, isExtension: isExtension)
    }
  }

  @Test(
    "On a slow link, what is sent waits a part of a second only",
    arguments: [300_000.0, 1_000_000, 3_000_000])
  func slowLink(bytesPerSecond: Double) {
    var link = Link(bytesPerSecond: bytesPerSecond, roundTrips: [0.002])
    link.run(for: .seconds(2))
    link.slowest = .zero
    link.run(for: .seconds(20))
    #expect(link.slowest < .milliseconds(550), "\(link.slowest)")
    #expect(link.answeredBytes > 0.9 * 22 * bytesPerSecond, "the link is used")
  }

  @Test("If a link becomes slow, what is sent soon waits a part of a second only")
  func slowerLink() {
    var link = Link(bytesPerSecond: 3e6, roundTrips: [0.002])
    link.run(for: .seconds(5))
    link.bytesPerSecond = 200_000
    link.run(for: .seconds(15))
    link.slowest = .zero
    link.run(for: .seconds(10))
    #expect(link.slowest < .milliseconds(700), "\(link.slowest)")
  }

  @Test(
    "A crowd has at most 256 KiB on its way, and uses that, however far the server",
    arguments: [0.002, 0.04, 0.2, 0.4])
  func largestCrowd(roundTrip: Double) {
    var link = Link(bytesPerSecond: 100e6, roundTrips: [roundTrip])
    link.run(for: .seconds(2))
    let before = link.answeredBytes
    link.run(for: .seconds(20))
    let amount = (link.answeredBytes - before) / 20 * roundTrip / 262_144
    #expect(0.6...1.02 ~= amount, "\(amount) of 256 KiB")
  }

  @Test(
    "Far away, an extension behind a crowd is answered in time",
    arguments: [1e6, 2e6, 4e6], [0.5, 0.6, 0.7, 0.8])
  func farCrowd(bytesPerSecond: Double, roundTrip: Double) {
    var link = Link(bytesPerSecond: bytesPerSecond, roundTrips: [roundTrip])
    link.run(for: .seconds(60))
    #expect(link.slowest < .seconds(1), "\(link.slowest)")
  }

  @Test("A crowd of extensions uses a link whose delay varies")
  func varyingDelay() {
    let delays = [0.12, 0.37, 0.04, 0.25, 0.4, 0.09, 0.31, 0.06, 0.2, 0.34]
    var link = Link(bytesPerSecond: 6e6, roundTrips: delays)
    link.crowd = .extensions
    link.run(for: .seconds(2))
    let before = link.answeredBytes
    link.run(for: .seconds(10))
    #expect(link.answeredBytes - before > 0.3 * 10 * 6e6)
  }

  @Test("Extensions are sent no later because a delay varies")
  func varyingDelayOfExtensions() {
    var window = SendWindow(operationTimeout: .seconds(1))
    let (size, start) = (window.extensionsSize, Instant.now)
    for number in 0..<100 {
      let sentAt = start + .seconds(number)
      window.answered(
        15_000, behind: (200_000, 0), sentAt: sentAt,
        at: sentAt + .milliseconds(number % 2 == 0 ? 40 : 900))
      #expect(window.extensionsSize == size)
    }
  }

  @Test("Extensions that are not answered in time are sent fewer at a time, and then more again")
  func lateExtensions() {
    var window = SendWindow(operationTimeout: .seconds(1))
    let (size, start) = (window.extensionsSize, Instant.now)
    func answer(behind ahead: Int, sentAt: Instant, after time: Duration) {
      window.answered(15_000, behind: (ahead, 0), sentAt: sentAt, at: sentAt + time)
    }
    answer(behind: 60_000, sentAt: start, after: .seconds(2))
    answer(behind: size - 1, sentAt: start, after: .milliseconds(900))
    #expect(window.extensionsSize == size, "they were not late because of each other")
    for _ in 0..<10 { answer(behind: size, sentAt: start, after: .seconds(2)) }
    #expect(window.extensionsSize == size / 2, "all that is late at once counts once")
    for number in 1..<10 {
      answer(behind: size / 2, sentAt: start + .seconds(2 * number), after: .seconds(2))
    }
    for number in 10..<20 {
      answer(behind: size / 4, sentAt: start + .seconds(2 * number), after: .seconds(2))
    }
    #expect(window.extensionsSize == 65_536, "there is a smallest size")
    answer(behind: 0, sentAt: start, after: .milliseconds(100))
    #expect(window.extensionsSize == 65_536, "nothing waits")
    window.waiting = .extensions
    answer(behind: 0, sentAt: start, after: .milliseconds(499))
    #expect(window.extensionsSize == 65_536 + 15_000)
    answer(behind: 0, sentAt: start, after: .milliseconds(501))
    #expect(window.extensionsSize == 65_536 + 15_000)
    for _ in 0..<1000 { answer(behind: 0, sentAt: start, after: .milliseconds(1)) }
    #expect(window.extensionsSize == 1 << 20, "there is a largest size")
    answer(behind: 1 << 20, sentAt: start + .seconds(60), after: .milliseconds(600))
    #expect(window.extensionsSize == size, "in time, but not for much longer")
  }

  @Test("A crowd that comes at the beginning is sent to a server far away in a few round trips")
  func crowdAtFirst() {
    var link = Link(bytesPerSecond: 100e6, roundTrips: [0.2])
    link.run(for: .milliseconds(900))
    #expect(link.answeredBytes > 0.6e6)
  }

  @Test(
    "If the way to the server becomes longer, as much is soon sent at a time as before",
    arguments: [0.45, 0.9])
  func longerWay(roundTrip: Double) {
    var link = Link(bytesPerSecond: 10e6, roundTrips: [0.04])
    link.run(for: .seconds(5))
    link.roundTrips = [roundTrip]
    for (time, share) in [(3 * roundTrip, 0.2), (10, 0.6), (30, 0.7)] {
      let before = link.answeredBytes
      link.run(for: .seconds(time))
      let sent = (link.answeredBytes - before) / time * roundTrip / 262_144
      #expect(sent > share, "\(sent) of 256 KiB at a time within \(time) s")
    }
  }

  @Test("The window grows only when something waits for it")
  func pauses() {
    var window = SendWindow(operationTimeout: .seconds(1))
    let (first, start) = (window.othersSize, Instant.now)
    window.answered(50_000, behind: (0, 0), sentAt: start, at: start + .milliseconds(1))
    #expect(window.othersSize == first)
    window.waiting = .others
    window.answered(50_000, behind: (0, 1), sentAt: start, at: start + .milliseconds(1))
    #expect(window.othersSize == first + 150_000)
  }

  /// A window that is full, and has grown.
  private func grown(_ start: Instant) -> SendWindow {
    var window = SendWindow(operationTimeout: .seconds(1))
    window.answered(50_000, behind: (0, 0), sentAt: start, at: start + .milliseconds(1))
    window.waiting = .others
    window.answered(1 << 20, behind: (0, 0), sentAt: start, at: start + .milliseconds(1))
    return window
  }

  @Test("If answers are late, the window shrinks only if they come faster when less is sent")
  func trial() {
    let start = Instant.now
    let (whole, late) = (grown(start).othersSize, start + .seconds(1))
    for (roundTrip, shrinks) in [(Duration.milliseconds(800), false), (.milliseconds(200), true)] {
      var window = grown(start)
      // All that is late at once counts once.
      for _ in 0..<100 { window.answered(1000, behind: (0, whole), sentAt: start, at: late) }
      #expect(window.othersSize == whole / 4)
      window.answered(1000, behind: (0, whole / 4), sentAt: late, at: late + roundTrip)
      // Far away, half of it at first: all at once would make a queue.
      #expect(shrinks || window.othersSize == whole / 2, "\(roundTrip)")
      let next = late + roundTrip
      window.answered(1000, behind: (0, 1000), sentAt: next, at: next + roundTrip)
      #expect(shrinks ? window.othersSize < whole / 3 : window.othersSize == whole, "\(roundTrip)")
    }
    var window = SendWindow(operationTimeout: .seconds(1))
    let first = window.othersSize
    for number in 0..<10 {
      let sentAt = start + .seconds(2 * number)
      window.answered(
        1, behind: (0, 0), sentAt: sentAt, at: sentAt + .milliseconds(number == 0 ? 1 : 900))
      window.answered(
        1, behind: (0, 0), sentAt: sentAt + .seconds(1), at: sentAt + .milliseconds(1001))
      #expect(window.othersSize == first, "there is a smallest size")
    }
  }

  @Test("A trial is not about what waited for all that was sent before, but ends after that")
  func drained() {
    let start = Instant.now
    var window = grown(start)
    let (whole, late) = (window.othersSize, start + .seconds(1))
    window.answered(1000, behind: (0, whole), sentAt: start, at: late)
    // An extension, which no room keeps back.
    window.answered(1000, behind: (0, whole), sentAt: late, at: late + .seconds(1))
    #expect(window.othersSize == whole / 4)
    // Requests may be larger than the window.
    let next = late + .seconds(1)
    window.answered(1000, behind: (0, whole), sentAt: next, at: next + .milliseconds(200))
    #expect(window.othersSize > whole / 4 && window.othersSize < whole)
  }

  @Test("If a link nearby that a crowd has used becomes slow, an extension waits for little")
  func busyLinkBecomesSlow() {
    var link = Link(bytesPerSecond: 6e6, roundTrips: [0.001])
    link.run(for: .seconds(14))
    (link.bytesPerSecond, link.slowest) = (250_000, .zero)
    link.run(for: .seconds(20))
    #expect(link.slowest < .milliseconds(1300), "\(link.slowest)")
  }

  @Test("Nothing opens the window for a crowd nearby: no time, and no late answer")
  func bounded() {
    var link = Link(bytesPerSecond: 10e6, roundTrips: [0.25])
    link.run(for: .seconds(1))
    link.roundTrips = [0.001]
    link.run(for: .seconds(120))
    (link.bytesPerSecond, link.slowest) = (250_000, .zero)
    link.run(for: .seconds(10))
    #expect(link.slowest < .milliseconds(1300), "\(link.slowest)")
  }

  @Test("After a pause, a crowd is not held up by a trial")
  func quiet() {
    var window = SendWindow(operationTimeout: .seconds(1))
    let start = Instant.now
    window.answered(1000, behind: (0, 0), sentAt: start, at: start + .milliseconds(1))
    let (size, later) = (window.othersSize, start + .seconds(60))
    window.answered(1000, behind: (0, 0), sentAt: later, at: later + .milliseconds(1))
    #expect(window.othersSize == size)
    // Without a pause, there is a trial, which ends with the answer to what was sent then.
    let next = later + .seconds(11)
    window.answered(1000, behind: (0, 1), sentAt: next, at: next + .milliseconds(1))
    #expect(window.othersSize == size / 4)
    window.answered(1000, behind: (0, 1), sentAt: next, at: next + .milliseconds(2))
    #expect(window.othersSize == size / 4)
    let trial = next + .milliseconds(3)
    window.answered(1000, behind: (0, 1), sentAt: trial, at: trial + .milliseconds(1))
    #expect(window.othersSize == size)
  }
}
