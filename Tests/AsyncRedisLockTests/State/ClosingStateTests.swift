import Testing

@testable import AsyncRedisLock

@Suite("The closing of a locker", .timeLimit(.minutes(2)))
struct ClosingStateTests {
  enum Event: Sendable {
    case begin(until: ClosePhase, isRefused: Bool = false)
    case end(isLast: Bool)
    case close(ClosePhase)
  }

  struct Row: Sendable, CustomTestStringConvertible {
    let from: ClosingState
    let event: Event
    let to: ClosingState

    init(_ from: ClosingState, _ event: Event, _ to: ClosingState) {
      (self.from, self.event, self.to) = (from, event, to)
    }

    var testDescription: String { "\(from), \(event)" }
  }

  static let table: [Row] = [
    Row(.open(calls: 0), .begin(until: .open), .open(calls: 1)),
    Row(.open(calls: 1), .begin(until: .closing), .open(calls: 2)),
    Row(.open(calls: 2), .end(isLast: false), .open(calls: 1)),
    Row(.open(calls: 1), .end(isLast: true), .open(calls: 0)),
    Row(.open(calls: 1), .close(.open), .open(calls: 1)),
    Row(.open(calls: 1), .close(.closing), .closing(calls: 1)),
    Row(.open(calls: 1), .close(.closed), .closed(calls: 1)),
    Row(.closing(calls: 1), .begin(until: .open, isRefused: true), .closing(calls: 1)),
    Row(.closing(calls: 1), .begin(until: .closing), .closing(calls: 2)),
    Row(.closing(calls: 1), .end(isLast: true), .closing(calls: 0)),
    Row(.closing(calls: 1), .close(.open), .closing(calls: 1)),
    Row(.closing(calls: 1), .close(.closed), .closed(calls: 1)),
    Row(.closed(calls: 1), .begin(until: .open, isRefused: true), .closed(calls: 1)),
    Row(.closed(calls: 1), .begin(until: .closing, isRefused: true), .closed(calls: 1)),
    Row(.closed(calls: 0), .begin(until: .closed), .closed(calls: 1)),
    Row(.closed(calls: 2), .end(isLast: false), .closed(calls: 1)),
    Row(.closed(calls: 1), .end(isLast: true), .closed(calls: 0)),
    Row(.closed(calls: 1), .close(.closing), .closed(calls: 1)),
  ]

  @Test("A locker goes from phase to phase as the table says, and never back", arguments: table)
  func transition(_ row: Row) {
    var state = row.from
    switch row.event {
    case .begin(let lastPhase, let isRefused): #expect(state.begin(until: lastPhase) != isRefused)
    case .end(let isLast): #expect(state.end() == isLast)
    case .close(let phase): state.close(phase)
    }
    #expect(state == row.to)
  }
}
