/// The requests handed to a connection that its queue has not looked at yet.
struct SubmissionQueue {
  /// What the sender has to do so that the queue notices the requests.
  enum WorkerCall {
    /// The queue will see it anyway.
    case none
    /// No worker is at work: start one.
    case start
    /// The worker waits in `poll(2)`: wake it.
    case wake
  }

  /// How far the connection is from its end.
  enum Openness: Int, Comparable {
    case open
    /// Accepts only requests that give back and clean up.
    case stopped
    /// The same, and ends as soon as they are done.
    case closing
    /// Accepts nothing.
    case closed

    static func < (first: Self, second: Self) -> Bool { first.rawValue < second.rawValue }
  }

  /// The outcome of an attempt to open a stream.
  struct Opened {
    let attempt: Int
    let stream: Result<LoginOpener.Opened, TransportError>
  }

  private var requests: [Request] = []
  private var opened: Opened?
  /// Why the present connection has to be given up, if it has to.
  private var abandonment: String?
  private var openness = Openness.open
  private var hasNews = false
  /// How many requests that give back are to follow after a pause.
  private var pauses = 0
  private var isWorking = false
  private var isWaiting = false

  /// Adds requests; those that are no longer accepted go into `refused`.
  mutating func add(_ new: some Sequence<Request>, refused: inout [Request]) -> WorkerCall {
    switch openness {
    case .open:
      requests.append(contentsOf: new)
    case .stopped, .closing:
      for request in new {
        if request.givesBack { requests.append(request) } else { refused.append(request) }
      }
    case .closed:
      refused.append(contentsOf: new)
      return .none
    }
    return notice()
  }

  /// Adds the outcome of opening a stream.
  mutating func add(_ opened: Opened) -> WorkerCall {
    if opened.attempt >= self.opened?.attempt ?? 0 { self.opened = opened }
    return notice()
  }

  /// Asks to give up the present connection, or the attempt to make one.
  mutating func abandonConnection(because reason: String) -> WorkerCall {
    abandonment = reason
    hasNews = true
    return notice()
  }

  /// Accepts less from now on; there is no way back.
  mutating func reduce(to openness: Openness) -> WorkerCall {
    guard openness > self.openness else { return .none }
    self.openness = openness
    hasNews = true
    return notice()
  }

  /// Notes that a request that gives back follows after a pause.
  mutating func beginPause() { pauses += 1 }

  /// Notes that the request has been added, or was not necessary.
  mutating func endPause() -> WorkerCall {
    pauses -= 1
    guard openness == .closing, pauses == 0 else { return .none }
    hasNews = true
    return notice()
  }

  private mutating func notice() -> WorkerCall {
    if isWaiting {
      isWaiting = false
      return .wake
    }
    if isWorking { return .none }
    isWorking = true
    return .start
  }

  /// Puts a worker to work; returns false if there is one.
  mutating func resume() -> Bool {
    guard !isWorking else { return false }
    isWorking = true
    return true
  }

  /// What the worker takes out at once, along with the requests.
  struct Contents {
    let opened: Opened?
    let abandonment: String?
    let openness: Openness
    /// Whether requests that give back are to follow after a pause.
    let hasPauses: Bool
  }

  /// Takes everything; the worker is busy until it waits or stops.
  ///
  /// The requests are put in place of an empty array, whose memory serves for the next ones.
  mutating func take(_ taken: inout [Request]) -> Contents {
    isWaiting = false
    hasNews = false
    swap(&requests, &taken)
    defer { (opened, abandonment) = (nil, nil) }
    return Contents(
      opened: opened, abandonment: abandonment, openness: openness, hasPauses: pauses > 0)
  }

  /// Announces that the worker waits in `poll(2)`; returns false if there is something to take first.
  mutating func beginWaiting() -> Bool {
    guard hasNothingNew else { return false }
    isWaiting = true
    return true
  }

  /// Announces that the worker stops; returns false if there is something to take first.
  mutating func stop() -> Bool {
    isWaiting = false
    guard hasNothingNew else { return false }
    isWorking = false
    return true
  }

  private var hasNothingNew: Bool { requests.isEmpty && opened == nil && !hasNews }
}
