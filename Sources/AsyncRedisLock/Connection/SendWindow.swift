/// How many bytes may be unanswered: enough to keep a connection busy, and so few that an extension hardly waits.
///
/// An extension waits for all that is on its way, and how long that takes depends on the link and on the server. So it
/// is measured, as TCP Vegas does: while requests wait for room, the window grows with each answer that comes about as
/// fast as the fastest. It shrinks when answers take longer, unless a trial shows that what is sent does not matter.
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
  /// How long after a trial the next one is due.
  ///
  /// Otherwise a queue that never ends would not be noticed.
  private static let trialInterval = Duration.seconds(10)
  /// Which part of the window a trial leaves: if all of a delay comes from what is sent, it becomes as much shorter.
  private static let trialShare = 4

  /// A round trip with a part of the window, to see whether answers come faster if less is sent.
  ///
  /// The window is not closed for it, as all callers would then wait for two round trips. No trial is needed if
  /// something was sent while nothing else was unanswered.
  private struct Trial {
    let start: Instant
    /// The size before.
    let size: Int
    /// The longest that an answer took to what was sent before.
    var slowest: Duration
  }

  /// How many bytes may be unanswered now.
  private(set) var size = smallestSize
  /// Whether requests wait for room.
  var isFull = false
  /// The shortest time that an answer took since the last trial.
  private var fastest: Duration?
  private var trial: Trial?
  private var nextTrial: Instant?
  private var hasShrunk = false

  /// Notes the answer to so many bytes; `ahead` tells how many were unanswered when they were sent.
  mutating func answered(_ byteCount: Int, behind ahead: Int, sentAt: Instant, at now: Instant) {
    let roundTrip = sentAt.duration(to: now)
    if let trial {
      // An extension may have been sent at its start, behind all that was on its way.
      if trial.start <= sentAt, ahead < 2 * size { return end(trial, roundTrip, at: now) }
      self.trial?.slowest = max(trial.slowest, roundTrip)
      return
    }
    let fastest = min(fastest ?? roundTrip, roundTrip)
    self.fastest = fastest
    let queue = roundTrip - fastest
    if nextTrial.map({ $0 <= now }) ?? true, ahead == 0 {
      self.fastest = roundTrip
      nextTrial = now + Self.trialInterval
    } else if queue >= Self.longestQueue || nextTrial.map({ $0 <= now }) ?? true {
      trial = Trial(start: now, size: size, slowest: roundTrip)
      size /= Self.trialShare
    } else if isFull {
      let growth = hasShrunk ? Self.growth.later : Self.growth.first
      size = min(
        size + Int(Double(byteCount) * growth * (1 - queue / Self.longestQueue)), Self.largestSize)
    }
  }

  private mutating func end(_ trial: Trial, _ roundTrip: Duration, at now: Instant) {
    (self.trial, size) = (nil, trial.size)
    nextTrial = now + Self.trialInterval
    guard let fastest, roundTrip < trial.slowest * 0.75 else { return self.fastest = roundTrip }
    self.fastest = min(fastest, roundTrip)
    let share = (min(fastest, roundTrip) + Self.longestQueue) / trial.slowest
    guard share < 1, size > Self.smallestSize else { return }
    size = max(Int(Double(size) * share), Self.smallestSize)
    hasShrunk = true
  }
}
