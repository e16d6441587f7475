public import AsyncRedisLock
internal import Synchronization

/// What lockers in memory have in place of a server: the keys, who holds them, and who waits for them.
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
    /// What has been asked and not been answered.
    var outstanding: [ObjectIdentifier: Asked] = [:]
    var askedCount = 0
    /// How lockers are treated that come later.
    var fault = Fault.none
  }

  /// A request that has not been answered.
  struct Asked {
    let request: InMemoryRequest
    /// Its place in the order in which they came.
    let number: Int
    var hasActed: Bool
    /// Whether the answer gets back, if it has been acted on.
    var isHeard: Bool
    /// Brings the answer; nil as long as there is none, and when it is lost.
    var answer: (@Sendable () -> Void)?
    /// What brings its answer later, and fails it when its time is up.
    var timers: [OneShot] = []
  }

  /// A locker, as the server knows it.
  struct Client {
    /// The identity of the locker.
    let id: String
    /// Lives as long as the locker and all its locks.
    weak var coordinator: Coordinator?
    var fault: Fault
    var listeners: [String: @Sendable (Notice) -> Void] = [:]
    var isStopped = false
  }

  let time: LockClock
  let activity: Activity
  let state = Locked(State())
  private let start: Instant

  /// Creates a server that holds nothing.
  ///
  /// - Parameter clock: What ttl and timeouts are counted by; the machine's time if nil.
  public init(clock: ManualClock? = nil) {
    activity = clock?.timeline.activity ?? Activity()
    time = LockClock(clock?.timeline, activity: activity)
    start = time.now
  }

  // MARK: Looking

  /// The keys that are locked, sorted.
  public var lockedKeys: [String] { look { $0.lockedKeys } }

  /// Who holds a key; nil when it is free.
  public func holder(of key: String) -> LockHolder? {
    look { $0.holder(of: key) }.map(LockHolder.init(value:))
  }

  /// How many tasks are in a call that wants to lock a key, and do not have it.
  ///
  /// - Parameter key: The key, alone or among others of a call.
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

  /// Does something, and tells those whom it gave a key.
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
