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
  /// Enough of other requests for a server nearby.
  ///
  /// Beyond it, a crowd of acquisitions gets only as much as the way to the server asks for. If the link becomes slow, all
  /// that was sent is ahead of the next extension. Extensions themselves have to be sent in any case.
  private static let usualSize = 256 * 1024
  private static let largestSize = 16 << 20
  /// By how much it grows with each round trip: fourfold until it has shrunk, as a crowd may come at the beginning.
  private static let growth = (first: 3.0, extensions: 1.0, others: 0.5)
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
    /// The sizes before.
    let size: Int
    let othersSize: Int
    /// The longest that an answer took to what was sent before.
    var slowest: Duration
    /// When all that was sent before had been answered.
    var drainedAt: Instant?
  }

  /// How many bytes of extensions may be unanswered now.
  private(set) var size = smallestSize
  /// How many of all other requests: not more than of extensions.
  private(set) var othersSize = smallestSize
  /// Which requests wait for room.
  var waiting: PendingRequests.Choice = []
  /// The shortest time that an answer took since the last trial.
  private var fastest: Duration?
  /// How long the answer took that ended the last trial.
  private var latest = Duration.zero
  private var trial: Trial?
  private var nextTrial: Instant?
  private var hasShrunk = false

  /// How many bytes are unanswered: of extensions, and of all other requests.
  typealias Unanswered = (extensions: Int, others: Int)

  /// Notes the answer to so many bytes; `ahead` tells what was unanswered when they were sent.
  mutating func answered(
    _ byteCount: Int, behind ahead: Unanswered, sentAt: Instant, at now: Instant
  ) {
    let roundTrip = sentAt.duration(to: now)
    if var trial {
      // An extension may have been sent at its start, behind all that was on its way. That has been answered with it.
      if trial.start <= sentAt {
        let isAfter = trial.drainedAt.map { $0 <= sentAt } ?? false
        let isBehindLittle = ahead.extensions < 2 * size && ahead.others < 2 * othersSize
        if isBehindLittle || isAfter { return end(trial, roundTrip, at: now) }
        trial.drainedAt = trial.drainedAt ?? now
      }
      trial.slowest = max(trial.slowest, roundTrip)
      self.trial = trial
      return
    }
    let fastest = min(fastest ?? roundTrip, roundTrip)
    self.fastest = fastest
    let queue = roundTrip - fastest
    if nextTrial.map({ $0 <= now }) ?? true, ahead == (0, 0) {
      (self.fastest, latest) = (roundTrip, roundTrip)
      nextTrial = now + Self.trialInterval
    } else if queue >= Self.longestQueue || nextTrial.map({ $0 <= now }) ?? true {
      trial = Trial(start: now, size: size, othersSize: othersSize, slowest: roundTrip)
      size /= Self.trialShare
      othersSize /= Self.trialShare
    } else if !waiting.isEmpty {
      grow(by: byteCount, behind: queue)
    }
  }

  /// Grows for what waits, the less the longer answers queue.
  private mutating func grow(by byteCount: Int, behind queue: Duration) {
    func step(_ growth: Double, _ longest: Duration) -> Int {
      guard queue < longest else { return 0 }
      return Int(
        Double(byteCount) * (hasShrunk ? growth : Self.growth.first) * (1 - queue / longest))
    }
    if waiting.contains(.others) {
      let isUsual = othersSize < Self.usualSize
      let longest = isUsual ? Self.longestQueue : min(latest, Self.longestQueue)
      othersSize += step(Self.growth.others, longest)
    }
    // With the others, too: held locks become as many as the acquisitions.
    if waiting.contains(.extensions) || size < othersSize * Self.trialShare {
      size += step(Self.growth.extensions, Self.longestQueue)
    }
    othersSize = min(othersSize, Self.largestSize)
    size = min(max(size, othersSize), Self.largestSize)
  }

  private mutating func end(_ trial: Trial, _ roundTrip: Duration, at now: Instant) {
    (size, othersSize, latest) = (trial.size, trial.othersSize, roundTrip)
    (self.trial, nextTrial) = (nil, now + Self.trialInterval)
    guard let fastest, roundTrip < trial.slowest * 0.75 else { return self.fastest = roundTrip }
    self.fastest = min(fastest, roundTrip)
    let share = (min(fastest, roundTrip) + Self.longestQueue) / trial.slowest
    guard share < 1, size > Self.smallestSize else { return }
    size = max(Int(Double(size) * share), Self.smallestSize)
    othersSize = max(Int(Double(othersSize) * share), Self.smallestSize)
    hasShrunk = true
  }
}
