/// How many bytes may be unanswered: enough to keep a connection busy, and so few that an extension hardly waits.
///
/// An extension waits for all that is on its way, and how long that takes depends on the link and on the server. So it
/// is measured, as TCP Vegas does: while requests wait for room, the window grows with each answer that comes about as
/// fast as the fastest. It shrinks when answers take longer.
struct SendWindow {
  /// How much longer than the fastest an answer may take: less than leases last between two extensions, and more than
  /// the delay of most links varies by itself.
  private static let longestQueue = Duration.milliseconds(300)
  /// Half a second on a link of 1 Mbit/s.
  ///
  /// Less would not help where answers are late for another reason than what is sent.
  private static let smallestSize = 64 * 1024
  private static let largestSize = 16 << 20
  /// By how much it grows with each round trip: fourfold until it has shrunk, as a crowd may come at the beginning.
  private static let growth = (first: 3.0, later: 1.0)
  /// How long after a probe the next one is due.
  private static let probeInterval = Duration.seconds(10)

  /// A round trip with one request, to see how fast an answer comes that waits for no other.
  ///
  /// Otherwise a queue that never ends, or a way to the server that has become longer, would not be noticed. No probe is
  /// needed if something was sent while nothing else was unanswered.
  private struct Probe {
    let start: Instant
    /// The size before and after.
    let size: Int
  }

  /// How many bytes may be unanswered now.
  private(set) var size = smallestSize
  /// Whether requests wait for room.
  var isFull = false
  /// The shortest time that an answer took since the last probe.
  private var fastest: Duration?
  private var probe: Probe?
  private var nextProbe: Instant?
  /// When it last shrank; answers to what was sent before say nothing about its size now.
  private var shrankAt: Instant?

  /// Notes the answer to so many bytes; `wasAlone` tells that nothing was unanswered when they were sent.
  mutating func answered(_ byteCount: Int, sentAt: Instant, at now: Instant, wasAlone: Bool) {
    let roundTrip = sentAt.duration(to: now)
    if let probe {
      guard probe.start <= sentAt else { return }
      (fastest, size, self.probe) = (roundTrip, probe.size, nil)
      nextProbe = now + Self.probeInterval
      return
    }
    var fastest = min(fastest ?? roundTrip, roundTrip)
    if nextProbe.map({ $0 <= now }) ?? true {
      guard wasAlone else {
        (probe, size) = (Probe(start: now, size: size), 1)
        return
      }
      fastest = roundTrip
      nextProbe = now + Self.probeInterval
    }
    self.fastest = fastest
    let queue = roundTrip - fastest
    if queue < Self.longestQueue {
      guard isFull else { return }
      let growth = shrankAt == nil ? Self.growth.first : Self.growth.later
      let share = growth * (1 - queue / Self.longestQueue)
      size = min(size + Int(Double(byteCount) * share), Self.largestSize)
    } else if shrankAt.map({ $0 <= sentAt }) ?? true {
      let share = (fastest + Self.longestQueue) / roundTrip
      size = max(Int(Double(size) * share), Self.smallestSize)
      shrankAt = now
    }
  }
}
