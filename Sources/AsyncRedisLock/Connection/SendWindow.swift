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
  /// For one far away, it is as much for each 40 ms of the way there and back: 6.5 MB a second, about what a server
  /// executes. A crowd of acquisitions gets no more, however fast the link is. If it becomes slow, all that was sent is
  /// ahead of the next extension.
  private static let usualSize = (bytes: 256 * 1024, way: Duration.milliseconds(40))
  /// Extensions have to be sent in any case.
  private static let extensionShare = 4
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
  /// How many of all other requests.
  private(set) var othersSize = smallestSize
  /// Which requests wait for room.
  var waiting: PendingRequests.Choice = []
  /// The shortest time that an answer took since the last trial.
  private var fastest: Duration?
  /// The shortest time that any answer took: that of a way which has become longer is not known for sure.
  private var shortest: Duration?
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
    bound(by: min(shortest ?? roundTrip, roundTrip))
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
    let isTrialDue = nextTrial.map { $0 <= now } ?? true
    if isTrialDue, ahead == (0, 0) {
      self.fastest = roundTrip
      nextTrial = now + Self.trialInterval
    } else if isTrialDue || queue >= Self.longestQueue {
      trial = Trial(start: now, size: size, othersSize: othersSize, slowest: roundTrip)
      size /= Self.trialShare
      othersSize /= Self.trialShare
    } else if !waiting.isEmpty {
      grow(by: byteCount, behind: queue)
    }
  }

  private mutating func bound(by shortest: Duration) {
    self.shortest = shortest
    let most = Int(Double(Self.usualSize.bytes) * max(shortest / Self.usualSize.way, 1))
    othersSize = min(othersSize, most)
    size = min(size, most * Self.extensionShare)
  }

  /// Grows for what waits, the less the longer answers queue.
  private mutating func grow(by byteCount: Int, behind queue: Duration) {
    func step(_ growth: Double) -> Int {
      let growth = hasShrunk ? growth : Self.growth.first
      return Int(Double(byteCount) * growth * (1 - queue / Self.longestQueue))
    }
    if waiting.contains(.others) { othersSize += step(Self.growth.others) }
    // With the others, too: held locks become as many as the acquisitions.
    if waiting.contains(.extensions) || size < othersSize * Self.extensionShare {
      size += step(Self.growth.extensions)
    }
    if let shortest { bound(by: shortest) }
  }

  private mutating func end(_ trial: Trial, _ roundTrip: Duration, at now: Instant) {
    (size, othersSize) = (trial.size, trial.othersSize)
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
