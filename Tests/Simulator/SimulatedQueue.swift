import AsyncRedisLock

/// A serial queue of a process.
// Unchecked: one thread runs a simulation.
final class SimulatedQueue: WorkQueue, @unchecked Sendable {
  private let process: SimulatedProcess
  private var work: [@Sendable () -> Void] = []

  init(of process: SimulatedProcess) { self.process = process }

  private var scheduler: Scheduler { process.scheduler }

  func async(_ work: @escaping @Sendable () -> Void) {
    self.work.append(work)
    if self.work.count == 1 { schedule() }
  }

  private func schedule() {
    scheduler.soon(of: process) { [self] in
      let next = work[0]
      next()
      work.removeFirst()
      if !work.isEmpty { schedule() }
    }
  }

  func async(after pause: Duration, _ work: @escaping @Sendable () -> Void) {
    scheduler.at(scheduler.now + pause.wholeNanoseconds, of: process) { self.async(work) }
  }

  func watch(
    _ stream: any ByteStream, _ handler: @escaping @Sendable () -> Void
  ) -> any WorkSource {
    let source = Source(on: self, handler)
    if let stream = stream as? SimulatedStream {
      source.isReady = { [weak stream] in stream?.isReadable == true }
      stream.add(source)
    }
    return source
  }

  func `repeat`(
    after pause: Duration, every interval: Duration, _ handler: @escaping @Sendable () -> Void
  ) -> any WorkSource {
    let source = Source(on: self, handler)
    fire(source, after: pause, interval)
    return source
  }

  private func fire(_ source: Source, after pause: Duration, _ interval: Duration) {
    scheduler.at(scheduler.now + max(pause.wholeNanoseconds, 0), of: process) {
      [weak source] in
      guard let source, !source.isOver else { return }
      source.fire()
      self.fire(source, after: interval, interval)
    }
  }

  /// A source that runs its handler repeatedly.
  // Unchecked: one thread runs a simulation.
  final class Source: WorkSource, @unchecked Sendable {
    private let queue: SimulatedQueue
    private var handler: (@Sendable () -> Void)?
    private var isWaiting = false
    /// Whether the handler is to run again after it has run.
    var isReady: () -> Bool = { false }

    init(on queue: SimulatedQueue, _ handler: @escaping @Sendable () -> Void) {
      self.queue = queue
      self.handler = handler
    }

    var isOver: Bool { handler == nil }

    func cancel() { handler = nil }

    /// Runs the handler when its turn in the queue comes.
    func fire() {
      guard handler != nil, !isWaiting else { return }
      isWaiting = true
      queue.async { [weak self] in
        guard let self else { return }
        isWaiting = false
        handler?()
        if isReady() { fire() }
      }
    }
  }
}
