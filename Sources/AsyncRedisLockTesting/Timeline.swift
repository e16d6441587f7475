package import AsyncRedisLock
internal import Dispatch
internal import Synchronization

/// The time of a ``ManualClock``, and the timers set in it.
package final class Timeline: ManualTime {
  private struct Alarm {
    let due: Instant
    let handler: @Sendable () -> Void
  }

  private struct State {
    var now: Instant
    var alarms: [Int: Alarm] = [:]
    var timerCount = 0
    /// How many tasks advance the time, and to which instant.
    var advanceCount = 0
    var goal: Instant

    /// Takes out the first alarm due by an instant, and sets the time to it; to the instant itself, if none is
    /// due.
    ///
    /// In one step, so that a timer set meanwhile for an earlier time is found to be due.
    mutating func next(by end: Instant) -> Alarm? {
      let first = alarms.min { ($0.value.due, $0.key) < ($1.value.due, $1.key) }
      guard let (id, alarm) = first, alarm.due <= end else {
        now = max(now, end)
        return nil
      }
      alarms[id] = nil
      now = max(now, alarm.due)
      return alarm
    }
  }

  package let start: Instant
  let activity = Activity()
  private let state: Locked<State>
  /// The queue that runs handlers, one at a time.
  private let queue = DispatchQueue(label: "async-redis-lock.manual-clock")

  package init() {
    start = .now
    state = Locked(State(now: start, goal: start))
  }

  package var now: Instant { state.withLock { $0.now } }

  /// The time since the start.
  var offset: Duration { start.duration(to: now) }

  package func makeTimer(_ handler: @escaping @Sendable () -> Void) -> any WakeTimer {
    let id = state.withLock { state in
      state.timerCount += 1
      return state.timerCount
    }
    return Timer(id: id, timeline: self, handler: handler)
  }

  /// Notes that a task advances the time; returns the target.
  func beginAdvance(by duration: Duration) -> Instant {
    state.withLock { state in
      if state.advanceCount == 0 { state.goal = state.now }
      state.advanceCount += 1
      state.goal += duration
      return state.goal
    }
  }

  /// Notes that a task no longer advances the time.
  func endAdvance() { state.withLock { $0.advanceCount -= 1 } }

  /// Sets the time to the next alarm due by an instant, and fires it.
  ///
  /// If none is due, sets the time to the instant and returns false.
  func fireNext(by end: Instant) -> Bool {
    queue.sync {
      guard let alarm = state.withLock({ $0.next(by: end) }) else { return false }
      alarm.handler()
      return true
    }
  }

  /// Fires all alarms that are due by now.
  private func fireOverdue() {
    while let alarm = state.withLock({ $0.next(by: $0.now) }) { alarm.handler() }
    activity.end()
  }

  private func set(_ id: Int, for due: Instant, _ handler: @escaping @Sendable () -> Void) {
    let isDue = state.withLock { state in
      state.alarms[id] = Alarm(due: due, handler: handler)
      return due <= state.now
    }
    guard isDue else { return }
    activity.begin()
    queue.async { self.fireOverdue() }
  }

  private func cancel(_ id: Int) { state.withLock { $0.alarms[id] = nil } }

  /// A timer that fires when the time is advanced to its instant.
  private final class Timer: WakeTimer {
    private let id: Int
    private let timeline: Timeline
    private let handler: @Sendable () -> Void

    init(id: Int, timeline: Timeline, handler: @escaping @Sendable () -> Void) {
      self.id = id
      self.timeline = timeline
      self.handler = handler
    }

    deinit { timeline.cancel(id) }

    func set(for instant: Instant) { timeline.set(id, for: instant, handler) }

    func cancel() { timeline.cancel(id) }
  }
}
