import AsyncRedisLock

/// The machine of a process: its clock, its queues, and the network.
struct SimulatedMachine: Machine {
  let process: SimulatedProcess
  let network: Network

  var clock: LockClock { LockClock(process.time) }

  var randomness: Randomness { Randomness { [scheduler = process.scheduler] in scheduler.draw() } }

  var processID: Int32 { Int32(process.id) }

  func makeQueue(_ label: String, _ urgency: Urgency) -> any WorkQueue {
    SimulatedQueue(of: process)
  }

  func makePoller() -> any Poller { SimulatedPoller() }

  func runForProgram(_ work: @escaping @Sendable () -> Void) {
    SimulatedQueue(of: process).async(work)
  }

  func makeOpener(for configuration: LockerConfiguration) -> any StreamOpener {
    SimulatedOpener(process: process, network: network, queue: SimulatedQueue(of: process))
  }
}

private struct SimulatedOpener: StreamOpener {
  let process: SimulatedProcess
  let network: Network
  let queue: SimulatedQueue

  func open(
    by deadline: Instant,
    completion: @escaping @Sendable (Result<any ByteStream, TransportError>) -> Void
  ) {
    queue.async {
      completion(Result { () throws(TransportError) in try network.connect(process) })
    }
  }

  func cancel() {}
}

/// Never waits: a watch reports the event instead.
private struct SimulatedPoller: Poller {
  func wake() {}

  func wait(for stream: (any ByteStream)?, toWrite: Bool, until deadline: Instant) -> Readiness {
    let stream = stream as? SimulatedStream
    return Readiness(canRead: stream?.isReadable == true, canWrite: toWrite)
  }

  func canRead(_ stream: any ByteStream, within microseconds: Int) -> Bool {
    guard let stream = stream as? SimulatedStream else { return false }
    if !stream.isReadable { stream.hurry(within: Int64(microseconds) * 1000) }
    return stream.isReadable
  }

  func rest(for microseconds: Int) {}

  func letOthersRun() {}
}

/// A clock that runs at its own pace, and its timers.
///
/// It can jump forward, as after a suspension of the machine or a move to another host. Its clock counts that time,
/// although little has passed in the rest of the world. It cannot go back: the product reads a monotonic clock,
/// which cannot be set.
// Unchecked: one thread runs a simulation.
final class SimulatedTime: ManualTime, @unchecked Sendable {
  unowned let process: SimulatedProcess
  private let scheduler: Scheduler
  /// How far the clock is off, in nanoseconds, and how much faster it runs, in millionths.
  private var offset: Int64
  private let drift: Int64

  init(of process: SimulatedProcess, on scheduler: Scheduler, offset: Int64, drift: Int64) {
    self.process = process
    self.scheduler = scheduler
    self.offset = offset
    self.drift = drift
  }

  var now: Instant {
    let now = scheduler.now
    return Instant(nanoseconds: offset + now + now / 1_000_000 * drift)
  }

  /// Jumps forward.
  ///
  /// Timers that are set go on as before: the system's own do not count the machine's sleep either.
  func jump(by duration: Int64) {
    precondition(duration >= 0, "a monotonic clock does not go back")
    offset += duration
  }

  /// The scheduler's time at an instant of this clock, or a moment later.
  func schedule(of instant: Instant) -> Int64 {
    let left = max(now.duration(to: instant).wholeNanoseconds, 0)
    return scheduler.now + left - left / 1_000_000 * drift + 2000
  }

  func makeTimer(_ handler: @escaping @Sendable () -> Void) -> any WakeTimer {
    Timer(time: self, handler: handler)
  }

  // Unchecked: one thread runs a simulation.
  private final class Timer: WakeTimer, @unchecked Sendable {
    private let time: SimulatedTime
    private var handler: (@Sendable () -> Void)?
    private var setting = 0

    init(time: SimulatedTime, handler: @escaping @Sendable () -> Void) {
      self.time = time
      self.handler = handler
    }

    func set(for instant: Instant) {
      setting += 1
      let setting = setting
      time.scheduler.at(time.schedule(of: instant), of: time.process) { [self] in
        if self.setting == setting { handler?() }
      }
    }

    func cancel() {
      setting += 1
      handler = nil
    }
  }
}
