public import AsyncRedisLock
internal import Synchronization

/// A server in memory for lockers in tests: it has the keys, their holders and their waiters.
///
/// Lockers on the same server exclude each other as if they were in different processes.
///
/// ```swift
/// let clock = ManualClock()
/// let server = InMemoryServer(clock: clock)
/// let (first, second) = (Locker.inMemory(on: server), Locker.inMemory(on: server))
/// ```
public final class InMemoryServer: Sendable {
  struct State {
    var memory = ServerMemory()
    var clients: [Client] = []
    /// The requests without an answer.
    var outstanding: [ObjectIdentifier: Asked] = [:]
    var askedCount = 0
    /// How requests of later lockers are treated.
    var fault = Fault.none
  }

  /// A request that has not been answered.
  struct Asked {
    let request: InMemoryRequest
    /// Its place in the order of arrival.
    let number: Int
    var hasActed: Bool
    /// Whether the answer gets back, once the server has acted on the request.
    var isHeard: Bool
    /// Delivers the answer; nil until there is one, and if it is lost.
    var answer: (@Sendable () -> Void)?
    /// The timers that deliver its answer later, and fail it when its time is up.
    var timers: [OneShot] = []
  }

  /// A locker, as the server knows it.
  struct Client {
    /// The identity of the locker.
    let id: String
    /// The locker's coordinator, which lives as long as the locker and all its locks.
    weak var coordinator: Coordinator?
    var fault: Fault
    var listeners: [String: @Sendable (Notice) -> Void] = [:]
    var isStopped = false
  }

  let time: LockClock
  let activity: Activity
  let state = Locked(State())
  private let start: Instant

  /// Creates a server without locks.
  ///
  /// - Parameter clock: The clock for ttl and timeouts; the machine's time if nil.
  public init(clock: ManualClock? = nil) {
    activity = clock?.timeline.activity ?? Activity()
    time = LockClock(clock?.timeline, activity: activity)
    start = time.now
  }

  // MARK: Looking

  /// The keys that are locked, sorted.
  public var lockedKeys: [String] { look { $0.lockedKeys } }

  /// The holder of a key; nil if it is free.
  public func holder(of key: String) -> LockHolder? {
    look { $0.holder(of: key) }.map(LockHolder.init(value:))
  }

  /// How many tasks are in a call for a lock on a key, and do not have it yet.
  ///
  /// - Parameter key: The key, alone or among other keys of a call.
  /// - Returns: The number of tasks, of all lockers.
  public func taskCount(waitingFor key: String) -> Int {
    coordinators.reduce(0) { $0 + $1.waiterCount(of: key) }
  }

  var coordinators: [Coordinator] { state.withLock { $0.clients.compactMap(\.coordinator) } }

  private func look<Answer: Sendable>(_ body: (inout ServerMemory) -> Answer) -> Answer {
    state.withLock { state in
      state.memory.setTime(start.duration(to: time.now))
      return body(&state.memory)
    }
  }

  // MARK: Being asked

  /// Runs an action, and tells the waiters that got a key from it.
  func perform<Answer>(_ body: (inout ServerMemory) -> sending Answer) -> sending Answer {
    let (answer, grants) = state.withLock { state in
      state.memory.setTime(start.duration(to: time.now))
      let answer = body(&state.memory)
      return (answer, state.memory.takeGrants())
    }
    for grant in grants { tell(grant) }
    return answer
  }

  private func tell(_ grant: ServerMemory.Grant) {
    let (fault, listener) = state.withLock { state in
      let client = state.clients[grant.client]
      return (client.fault, client.listeners[grant.claim.token])
    }
    guard fault.isHeard else { return }
    let notice: @Sendable () -> Void = { [self] in
      if let listener {
        listener(.granted(grant.numbers))
      } else {
        submit(.cleaningUp(grant.claim, of: grant.client, until: time.now + grant.claim.ttl))
      }
    }
    guard fault.delay > .zero else { return notice() }
    OneShot(by: time, at: time.now + fault.delay, notice)
  }
}
