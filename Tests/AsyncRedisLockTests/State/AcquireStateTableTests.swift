import ChaosLog
import Testing

@testable import AsyncRedisLock

@Suite("The stages of an acquisition", .timeLimit(.minutes(2)))
struct AcquireStateTableTests {
  private let start = Instant.now

  /// An event of an acquisition that begins at the start and may take one second.
  enum Event: Sendable {
    case next, nextAtTheEnd, gotTurn, cannotQueue, gaveBack
    case held, heldTooLate, contended, gone
    case heard
    case refused, loading, unreachable, cutShort, cancelled, closed
  }

  enum StageName: Sendable { case new, asked, polling, pollingInFull }
  enum OutlookName: Sendable { case unknown, othersFirst, held, news, trouble }
  enum ActionName: Sendable {
    case none, askFirst, askInFull, queue, pause, take, giveBack, leave, fail, cancel
  }

  struct Row: Sendable, CustomTestStringConvertible {
    /// The events before.
    let former: [Event]
    let event: Event
    let action: ActionName
    let stage: StageName
    let outlook: OutlookName
    var waits = true

    init(
      _ former: [Event], _ event: Event, _ action: ActionName, _ stage: StageName,
      _ outlook: OutlookName, waits: Bool = true
    ) {
      (self.former, self.event, self.action) = (former, event, action)
      (self.stage, self.outlook, self.waits) = (stage, outlook, waits)
    }

    var testDescription: String { "\(waits ? "" : "if available: ")\(former), then \(event)" }
  }

  static let table: [Row] = [
    // No request has been sent.
    Row([], .next, .askFirst, .asked, .unknown),
    Row([], .nextAtTheEnd, .askFirst, .asked, .unknown),
    Row([], .gotTurn, .none, .new, .othersFirst),
    Row([], .heard, .none, .new, .held),
    Row([], .cannotQueue, .askInFull, .pollingInFull, .unknown),
    Row([.gotTurn], .nextAtTheEnd, .fail, .new, .othersFirst),
    Row([.heard], .nextAtTheEnd, .fail, .new, .held),
    Row([.heard], .gotTurn, .none, .new, .held),
    // The first request.
    Row([.next], .held, .take, .asked, .unknown),
    Row([.next], .heldTooLate, .giveBack, .asked, .unknown),
    Row([.next], .contended, .queue, .asked, .news),
    Row([.next], .contended, .leave, .asked, .held, waits: false),
    Row([.next], .gone, .queue, .asked, .news),
    Row([.next], .gone, .askInFull, .pollingInFull, .held, waits: false),
    Row([.next], .refused, .fail, .asked, .unknown),
    Row([.next], .loading, .pause, .asked, .trouble),
    Row([.next], .unreachable, .pause, .asked, .trouble),
    Row([.next], .cutShort, .pause, .asked, .trouble),
    Row([.next], .cancelled, .cancel, .asked, .unknown),
    Row([.next], .closed, .fail, .asked, .unknown),
    Row([.next, .heldTooLate], .gaveBack, .pause, .asked, .trouble),
    // Further requests.
    Row([.next, .loading], .next, .askInFull, .asked, .trouble),
    Row([.next, .loading], .nextAtTheEnd, .fail, .asked, .trouble),
    Row([.next, .loading], .contended, .queue, .asked, .news),
    Row([.next, .loading], .heard, .none, .asked, .held),
    Row([.next, .loading], .cutShort, .pause, .asked, .trouble),
    Row([.next, .contended], .cutShort, .pause, .asked, .held),
    Row([.next, .contended], .unreachable, .pause, .asked, .trouble),
    Row([.next, .contended], .nextAtTheEnd, .fail, .asked, .news),
    // A store that cannot tell of grants.
    Row([.next, .contended], .cannotQueue, .askInFull, .pollingInFull, .news),
    Row(
      [.next, .contended, .cannotQueue, .contended], .cannotQueue, .pause, .pollingInFull, .held),
    Row(
      [.next, .contended, .cannotQueue, .loading], .cannotQueue, .askInFull, .pollingInFull,
      .trouble),
    Row(
      [.next, .contended, .cannotQueue, .cutShort], .cannotQueue, .askInFull, .pollingInFull, .held),
    Row([.next, .contended, .cannotQueue], .next, .askInFull, .pollingInFull, .news),
    Row([.next, .contended, .cannotQueue], .held, .take, .pollingInFull, .unknown),
    Row([.next, .gone], .gone, .leave, .pollingInFull, .held, waits: false),
    Row([.next, .gone], .loading, .pause, .pollingInFull, .trouble, waits: false),
  ]

  @Test("An acquisition goes from stage to stage as the table says", arguments: table)
  func transition(_ row: Row) {
    var generator = SplitMix(seed: 1)
    var state = AcquireState(
      keys: ["key"], options: LockOptions(timeout: .seconds(1)), waits: row.waits,
      operationTimeout: .seconds(1), now: start)
    for event in row.former { _ = apply(event, to: &state, using: &generator) }
    #expect(apply(row.event, to: &state, using: &generator) == row.action)
    #expect(stage(of: state) == row.stage)
    #expect(outlook(of: state) == row.outlook)
    #expect(state.wantsToQueue == (row.waits && state.isPolling))
    #expect((state.trouble != nil) == (row.outlook == .trouble))
  }

  private func apply(
    _ event: Event, to state: inout AcquireState, using generator: inout SplitMix
  ) -> ActionName {
    let gone = KeyState(holder: nil, remaining: nil)
    switch event {
    case .next: return name(state.next(at: start))
    case .nextAtTheEnd: return name(state.next(at: start + .seconds(1)))
    case .gotTurn:
      state.gotTurn()
      return .none
    case .heard:
      state.heard(KeyState(holder: "holder", remaining: nil))
      return .none
    case .cannotQueue:
      return name(state.cannotQueue(at: start, roundTrip: .zero, using: &generator))
    case .gaveBack: return name(state.gaveBack(at: start, roundTrip: .zero, using: &generator))
    case .held: return name(state.answered(.held(sentAt: start, numbers: 1..<2), at: start))
    case .heldTooLate:
      return name(
        state.answered(.held(sentAt: start, numbers: 1..<2), at: start + .seconds(9)))
    case .contended:
      let held = KeyState(holder: "holder", remaining: .seconds(1))
      return name(state.answered(.contended(held), at: start))
    case .gone: return name(state.answered(.contended(gone), at: start))
    case .refused:
      return fail(.refused(code: "NOPERM", message: "NOPERM", isTransient: false))
    case .loading:
      return fail(.refused(code: "LOADING", message: "LOADING", isTransient: true))
    case .unreachable: return fail(.unreachable("silent"), after: .milliseconds(50))
    case .cutShort: return fail(.unreachable("silent"), after: .milliseconds(49))
    case .cancelled: return fail(.cancelled)
    case .closed: return fail(.closed)
    }
    func fail(_ failure: StoreFailure, after time: Duration = .zero) -> ActionName {
      name(state.failed(failure, at: start + time, roundTrip: .zero, using: &generator))
    }
  }

  private func name(_ action: AcquireState.Action) -> ActionName {
    switch action {
    case .ask(isFirst: true, _): .askFirst
    case .ask(isFirst: false, _): .askInFull
    case .queue: .queue
    case .pause: .pause
    case .take: .take
    case .giveBack: .giveBack
    case .leave: .leave
    case .fail: .fail
    case .cancel: .cancel
    }
  }

  private func stage(of state: AcquireState) -> StageName {
    switch state.stage {
    case .new: .new
    case .asked: .asked
    case .polling(_, let inFull): inFull ? .pollingInFull : .polling
    }
  }

  private func outlook(of state: AcquireState) -> OutlookName {
    switch state.outlook {
    case .unknown: .unknown
    case .othersFirst: .othersFirst
    case .held(_, let isNews): isNews ? .news : .held
    case .trouble: .trouble
    }
  }
}
