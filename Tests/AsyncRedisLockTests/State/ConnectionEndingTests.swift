import Testing

@testable import AsyncRedisLock

@Suite("The end of a connection", .timeLimit(.minutes(2)))
struct ConnectionEndingTests {
  private static let start = Instant.now
  private static let drain = Duration.seconds(1)

  struct Transition: Sendable, CustomTestStringConvertible {
    let from: ConnectionEnding
    let openness: SubmissionQueue.Openness
    /// The new state; nil if nothing changes.
    let to: ConnectionEnding?

    var testDescription: String { "\(from), \(openness)" }
  }

  /// All events for a connection in each state, half a second after the first news of its end.
  static let table: [Transition] = [
    Transition(from: .open, openness: .open, to: nil),
    Transition(from: .open, openness: .stopped, to: .stopped(latestEnd: later + drain)),
    Transition(from: .open, openness: .closing, to: .closing(latestEnd: later + drain)),
    Transition(from: .stopped(latestEnd: start + drain), openness: .open, to: nil),
    Transition(from: .stopped(latestEnd: start + drain), openness: .stopped, to: nil),
    Transition(
      from: .stopped(latestEnd: start + drain), openness: .closing,
      to: .closing(latestEnd: start + drain)),
    Transition(from: .closing(latestEnd: start + drain), openness: .open, to: nil),
    Transition(from: .closing(latestEnd: start + drain), openness: .stopped, to: nil),
    Transition(from: .closing(latestEnd: start + drain), openness: .closing, to: nil),
  ]

  private static let later = start + .milliseconds(500)

  @Test(
    "The end of a connection is measured from the first news of it, and never postponed",
    arguments: table)
  func transition(_ transition: Transition) {
    var ending = transition.from
    let isNews = ending.reduce(
      to: transition.openness, at: Self.later, drainingFor: Self.drain)
    #expect(isNews == (transition.to != nil))
    #expect(ending == transition.to ?? transition.from)
  }

  @Test("A closed connection ends when all requests are done, at the latest at its deadline")
  func isDue() {
    let (before, end) = (Self.start, Self.start + Self.drain)
    for ending in [ConnectionEnding.open, .stopped(latestEnd: end)] {
      #expect(!ending.isDue(at: end, isDone: true))
      #expect(ending.deadline == nil)
    }
    let closing = ConnectionEnding.closing(latestEnd: end)
    #expect(closing.isDue(at: before, isDone: true))
    #expect(!closing.isDue(at: before, isDone: false))
    #expect(closing.isDue(at: end, isDone: false))
    #expect(closing.deadline == end)
  }
}
