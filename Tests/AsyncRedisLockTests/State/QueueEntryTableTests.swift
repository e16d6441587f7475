import ChaosLog
import Testing

@testable import AsyncRedisLock

@Suite("The phases of an entry in the queue", .timeLimit(.minutes(2)))
struct QueueEntryTableTests {
  private let start = Instant.now
  private let ttl = Duration.seconds(3)

  /// An event of an entry, at the start unless its name says otherwise.
  enum Event: Sendable {
    case willPoll, hurry, willRefresh, refreshed, refreshFailed
    /// A new grant, with all of the ttl left or with too little of it, and an old one.
    case granted, grantedLate, grantedBefore
    case waits, waitsSilently, held, heldTooLate, again, failed
  }

  enum PhaseName: Sendable { case due, polling, resting, refreshing, taken, givenUp }

  struct Row: Sendable, CustomTestStringConvertible {
    let former: [Event]
    let event: Event
    let phase: PhaseName

    init(_ former: [Event], _ event: Event, _ phase: PhaseName) {
      (self.former, self.event, self.phase) = (former, event, phase)
    }

    var testDescription: String { "\(former), then \(event)" }
  }

  private static let toResting: [Event] = [.willPoll, .waits]
  private static let toRefreshing = toResting + [.willRefresh]

  static let table: [Row] = [
    // A poll is due.
    Row([], .willPoll, .polling),
    Row([], .hurry, .due),
    Row([], .willRefresh, .due),
    Row([], .refreshed, .due),
    // Nothing is known that bounds how long the keys last.
    Row([], .granted, .due),
    Row([], .held, .due),
    Row([], .failed, .due),
    // A poll is under way.
    Row([.willPoll], .waits, .resting),
    Row([.willPoll], .waitsSilently, .due),
    Row([.willPoll], .held, .taken),
    Row([.willPoll], .heldTooLate, .due),
    Row([.willPoll], .again, .due),
    Row([.willPoll], .failed, .givenUp),
    Row([.willPoll], .hurry, .polling),
    Row([.willPoll, .hurry], .waits, .due),
    Row([.willPoll, .hurry], .held, .taken),
    Row([.willPoll], .granted, .polling),
    Row([.willPoll, .granted], .waits, .taken),
    Row([.willPoll, .granted, .hurry], .waits, .taken),
    Row([.willPoll, .grantedBefore], .waits, .resting),
    Row([.willPoll, .granted], .held, .taken),
    Row([.willPoll, .granted], .again, .due),
    Row([.willPoll, .granted], .failed, .givenUp),
    Row([.willPoll], .willRefresh, .polling),
    Row([.willPoll], .refreshFailed, .polling),
    // The entry rests until it is refreshed.
    Row(toResting, .granted, .taken),
    Row(toResting, .grantedLate, .due),
    Row(toResting, .grantedBefore, .resting),
    Row(toResting, .hurry, .due),
    Row(toResting, .willPoll, .polling),
    Row(toResting, .willRefresh, .refreshing),
    Row(toResting, .refreshed, .resting),
    Row(toResting, .waits, .resting),
    // The entry is being refreshed.
    Row(toRefreshing, .refreshed, .resting),
    Row(toRefreshing, .refreshFailed, .due),
    Row(toRefreshing, .granted, .taken),
    Row(toRefreshing, .grantedLate, .due),
    Row(toRefreshing, .hurry, .due),
    Row(toRefreshing, .willPoll, .polling),
    Row(toRefreshing + [.hurry], .refreshed, .due),
    Row(toRefreshing + [.willPoll], .refreshed, .polling),
    // The entry is over.
    Row([.willPoll, .held], .willPoll, .taken),
    Row([.willPoll, .held], .hurry, .taken),
    Row([.willPoll, .held], .granted, .taken),
    Row([.willPoll, .held], .failed, .taken),
    Row([.willPoll, .failed], .granted, .givenUp),
    Row([.willPoll, .failed], .hurry, .givenUp),
    Row([.willPoll, .failed], .refreshed, .givenUp),
  ]

  @Test("An entry goes from phase to phase as the table says", arguments: table)
  func transition(_ row: Row) {
    var place = QueueEntryState(retry: .milliseconds(100), isRefreshed: true, at: start)
    for event in row.former { apply(event, to: &place) }
    apply(row.event, to: &place)
    #expect(name(of: place) == row.phase)
    let asks = row.phase == .due && place.next(at: start + ttl) == .poll
    #expect(asks == (row.phase == .due))
    #expect((place.refreshDue != nil) == (row.phase == .resting))
    // The holder of the keys is known from the first answer to the end.
    #expect((place.holder != nil) == (row.former + [row.event]).hasAnswer)
  }

  private func apply(_ event: Event, to place: inout QueueEntryState) {
    var generator = SplitMix(seed: 1)
    func answer(_ answer: Result<PollAnswer, StoreFailure>) {
      place.answered(answer, isTold: true, at: start, using: &generator)
    }
    func waiting(isSilent: Bool) -> Waiting {
      Waiting(
        sentAt: start, counter: 100, state: KeyState(holder: "other", remaining: nil),
        isSilent: isSilent, isHeard: true)
    }
    switch event {
    case .willPoll: place.willPoll(ttl: ttl, deadline: start + .seconds(1))
    case .hurry: place.hurry(at: start)
    case .willRefresh: _ = place.willRefresh(at: start + ttl)
    case .refreshed:
      place.refreshed(waiting(isSilent: false), isTold: true, at: start, using: &generator)
    case .refreshFailed: place.refreshed(nil, isTold: true, at: start, using: &generator)
    case .granted: place.granted(101..<102, at: start)
    case .grantedLate: place.granted(101..<102, at: start + ttl / 2)
    case .grantedBefore: place.granted(100..<101, at: start)
    case .waits: answer(.success(.waiting(waiting(isSilent: false))))
    case .waitsSilently: answer(.success(.waiting(waiting(isSilent: true))))
    case .held: answer(.success(.held(sentAt: start, numbers: 101..<102, wasGranted: false)))
    case .heldTooLate:
      answer(.success(.held(sentAt: start - ttl, numbers: 101..<102, wasGranted: false)))
    case .again: answer(.success(.again))
    case .failed: answer(.failure(.unreachable("gone")))
    }
  }

  private func name(of place: QueueEntryState) -> PhaseName {
    switch place.phase {
    case .due: .due
    case .polling: .polling
    case .resting: .resting
    case .refreshing: .refreshing
    case .over(.take): .taken
    case .over: .givenUp
    }
  }
}

extension [QueueEntryTableTests.Event] {
  /// Whether a poll has been answered with "wait".
  fileprivate var hasAnswer: Bool {
    guard let poll = firstIndex(of: .willPoll) else { return false }
    return self[poll...].contains { $0 == .waits || $0 == .waitsSilently }
  }
}
