/// How many bytes may be unanswered: enough to keep a connection busy, and so few that an extension hardly waits.
///
/// An extension waits for all that is on its way, and how long that takes depends on the link and on the server. So it
/// is measured, as TCP Vegas does: while requests wait for room, the window grows with each answer that comes about as
/// fast as the fastest. It shrinks when answers take longer, unless a trial shows that what is sent does not matter.
///
/// Extensions have a window of their own, without trials: they have to be sent in any case, and in time. It only keeps
/// back what could not be answered in time anyway, and would be sent again.
struct SendWindow {
  /// How much longer than the fastest an answer may take: less than leases last between two extensions, and more than
  /// the delay of most links varies by itself.
  private static let longestQueue = Duration.milliseconds(300)
  /// Half a second on a link of 1 Mbit/s.
  ///
  /// Less would not help where answers are late for another reason than what is sent.
  private static let smallestSize = 64 * 1024
  /// Enough of other requests: 6.5 MB a second for a server 40 ms away, about what a server executes.
  ///
  /// A crowd of acquisitions gets no more, however fast the link is and however far the server. If the link becomes slow,
  /// all that was sent is ahead of the next extension. So a crowd makes fewer acquisitions a second from far away.
  private static let largestSize = 256 * 1024
  /// Enough of extensions for some 3,400 locks, and for twice as many.
  ///
  /// On a link that becomes slow, what is sent takes the time of what waits, and of what is sent again.
  private static let extensionsSizes = (first: 512 * 1024, largest: 1024 * 1024)
  /// By how much it grows with each round trip: fourfold until it has shrunk, as a crowd may come at the beginning.
  ///
  /// Before an answer tells of a queue, that queue has become longer by so much of a round trip. So the share is smaller
  /// if the way is so long that the queue must be short.
  private static let growth = (first: 3.0, usual: 0.5)
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
    /// When all that was sent before had been answered.
    var drainedAt: Instant?
  }

  /// How many bytes of extensions may be unanswered now.
  private(set) var extensionsSize = extensionsSizes.first
  /// How many of all other requests.
  private(set) var othersSize = smallestSize
  /// Which requests wait for room.
  var waiting: PendingRequests.Choice = []
  /// The shortest time that an answer took since the last trial.
  private var fastest: Duration?
  private var trial: Trial?
  private var nextTrial: Instant?
  private var hasShrunk = false
  /// The size that is due a round trip after a trial: to send all that at once would make a queue by itself.
  private var restored: (size: Int, since: Instant)?
  /// When the window for extensions has shrunk last.
  private var extensionsShrunkAt: Instant?
  private let operationTimeout: Duration

  init(operationTimeout: Duration) { self.operationTimeout = operationTimeout }

  /// How many bytes are unanswered: of extensions, and of all other requests.
  typealias Unanswered = (extensions: Int, others: Int)

  /// Notes the answer to so many bytes; `ahead` tells what was unanswered when they were sent.
  mutating func answered(
    _ byteCount: Int, behind ahead: Unanswered, sentAt: Instant, at now: Instant
  ) {
    let roundTrip = sentAt.duration(to: now)
    resizeForExtensions(byteCount, behind: ahead.extensions, sentAt: sentAt, roundTrip, at: now)
    if var trial {
      // An extension may have been sent at its start, behind all that was on its way. That has been answered with it.
      if trial.start <= sentAt {
        let isAfter = trial.drainedAt.map { $0 <= sentAt } ?? false
        let isBehindLittle = ahead.extensions < 2 * extensionsSize && ahead.others < 2 * othersSize
        if isBehindLittle || isAfter { return end(trial, roundTrip, at: now) }
        trial.drainedAt = trial.drainedAt ?? now
      }
      trial.slowest = max(trial.slowest, roundTrip)
      self.trial = trial
      return
    }
    if let former = restored, former.since <= sentAt {
      othersSize = max(othersSize, former.size)
      restored = nil
    }
    let fastest = min(fastest ?? roundTrip, roundTrip)
    self.fastest = fastest
    let (queue, longestQueue) = (roundTrip - fastest, longestQueue(behind: fastest))
    let isTrialDue = nextTrial.map { $0 <= now } ?? true
    if isTrialDue, ahead == (0, 0) {
      self.fastest = roundTrip
      nextTrial = now + Self.trialInterval
    } else if isTrialDue || queue >= longestQueue {
      trial = Trial(start: now, size: othersSize, slowest: roundTrip)
      othersSize /= Self.trialShare
    } else if waiting.contains(.others) {
      let usual = min(Self.growth.usual, longestQueue / (fastest * 2))
      let growth = hasShrunk || isFar(fastest) ? usual : Self.growth.first
      let grown = othersSize + Int(Double(byteCount) * growth * (1 - queue / longestQueue))
      othersSize = min(grown, Self.largestSize)
    }
  }

  /// Whether an extension cannot wait for much more than the way there and back.
  private func isFar(_ roundTrip: Duration) -> Bool { roundTrip * 4 > operationTimeout }

  /// How much longer than the fastest an answer may take, so that an extension behind that is answered in time.
  private func longestQueue(behind fastest: Duration) -> Duration {
    max(min(Self.longestQueue, (operationTimeout - fastest) / 3), .milliseconds(1))
  }

  /// Lets as many extensions be sent as are answered in time.
  private mutating func resizeForExtensions(
    _ byteCount: Int, behind ahead: Int, sentAt: Instant, _ roundTrip: Duration, at now: Instant
  ) {
    if roundTrip * 2 >= operationTimeout {
      // All that was sent before counts once, and what was behind few others was late for another reason.
      let least = roundTrip < operationTimeout ? Self.extensionsSizes.first : Self.smallestSize
      guard ahead >= least, extensionsShrunkAt.map({ $0 <= sentAt }) ?? true else { return }
      extensionsSize = min(extensionsSize, max(ahead / 2, least))
      extensionsShrunkAt = now
    } else if waiting.contains(.extensions) {
      extensionsSize = min(extensionsSize + byteCount, Self.extensionsSizes.largest)
    }
  }

  private mutating func end(_ trial: Trial, _ roundTrip: Duration, at now: Instant) {
    // What an earlier trial has left to restore may be more than this one finds right.
    (othersSize, restored) = (trial.size, nil)
    defer {
      if isFar(roundTrip) {
        restored = (othersSize, now)
        othersSize = max(othersSize / 2, Self.smallestSize)
      }
    }
    (self.trial, nextTrial) = (nil, now + Self.trialInterval)
    guard let fastest, roundTrip < trial.slowest * 0.75 else { return self.fastest = roundTrip }
    self.fastest = min(fastest, roundTrip)
    let least = min(fastest, roundTrip)
    let share = (least + longestQueue(behind: least)) / trial.slowest
    guard share < 1, othersSize > Self.smallestSize else { return }
    othersSize = max(Int(Double(othersSize) * share), Self.smallestSize)
    hasShrunk = true
  }
}
