/// What has been handed to a connection and not been looked at by its queue.
struct Mailbox {
  /// What the sender has to do so that the queue notices.
  enum Notice {
    /// The queue will see it anyway.
    case none
    /// Nobody is at work: start.
    case start
    /// The worker waits in `poll(2)`: wake it.
    case wake
  }

  private var requests: [Request] = []
  private var opened: Result<CInt, TransportError>?
  private var isClosed = false
  private var isCloseNews = false
  private var isWorking = false
  private var isWaiting = false

  /// Adds requests; nil when the connection is closed, and they are not taken.
  mutating func add(_ new: some Sequence<Request>) -> Notice? {
    guard !isClosed else { return nil }
    requests.append(contentsOf: new)
    return notice()
  }

  /// Adds the outcome of opening a socket.
  mutating func add(_ opened: Result<CInt, TransportError>) -> Notice {
    self.opened = opened
    return notice()
  }

  /// Refuses everything from now on.
  mutating func close() -> Notice {
    isClosed = true
    isCloseNews = true
    return notice()
  }

  private mutating func notice() -> Notice {
    if isWaiting {
      isWaiting = false
      return .wake
    }
    if isWorking { return .none }
    isWorking = true
    return .start
  }

  /// What the worker takes out at once.
  struct Contents {
    let requests: [Request]
    /// The outcome of opening a socket.
    let opened: Result<CInt, TransportError>?
    let isClosed: Bool
  }

  /// Takes everything; the worker is busy until it waits or stops.
  mutating func take() -> Contents {
    isWaiting = false
    isCloseNews = false
    defer {
      requests = []
      opened = nil
    }
    return Contents(requests: requests, opened: opened, isClosed: isClosed)
  }

  /// Announces that the worker waits in `poll(2)`; false when there is something to take first.
  mutating func beginWaiting() -> Bool {
    guard hasNothingNew else { return false }
    isWaiting = true
    return true
  }

  /// Announces that the worker stops; false when there is something to take first.
  mutating func stop() -> Bool {
    guard hasNothingNew else { return false }
    isWorking = false
    return true
  }

  private var hasNothingNew: Bool { requests.isEmpty && opened == nil && !isCloseNews }
}
