/// Whether the nodes are being asked which of them has which slots, and the callers that wait for that.
///
/// A pure state machine.
struct ClusterRefresh {
  typealias Address = LockerConfiguration.Address
  typealias Completion = @Sendable (Result<Void, TransportError>) -> Void

  private var isUnderWay = false
  private var isClosed = false
  /// Whether to ask once more, because something has changed since the question under way.
  private var mustRepeat = false
  private var preferred: Address?
  private var waiting: [Completion] = []

  /// Notes that the slots have to be asked for; returns whether to begin now.
  mutating func begin(asking address: Address?, waiting completion: Completion?) -> Bool {
    if let completion { waiting.append(completion) }
    if let address { preferred = address }
    guard !isUnderWay, !isClosed else {
      mustRepeat = true
      return false
    }
    isUnderWay = true
    return true
  }

  /// The node that has told most lately of a change, and is asked first.
  mutating func takePreferred() -> Address? {
    mustRepeat = false
    return preferred.take()
  }

  /// Notes the end; returns the callers that wait for it, and whether to ask once more.
  mutating func end() -> (waiting: [Completion], repeats: Bool) {
    defer { waiting = [] }
    isUnderWay = mustRepeat && !isClosed
    return (waiting, isUnderWay)
  }

  /// Ends for good; returns those that wait.
  mutating func close() -> [Completion] {
    isClosed = true
    defer { waiting = [] }
    return waiting
  }
}
