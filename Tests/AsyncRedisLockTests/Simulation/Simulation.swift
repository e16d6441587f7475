@testable import AsyncRedisLock
import AsyncRedisLockTesting

/// Some lockers that contend for a few keys of one server, in simulated time, with whatever can go wrong.
///
/// The library's state machines decide; clocks, connections and the server are simulated. All follows
/// from the seed.
final class Simulation {
  private struct Event {
    let time: Int64
    let action: () -> Void
  }

  /// How often what happened.
  struct Counts {
    var held = 0
    var lost = 0
    var granted = 0
    var missedGrants = 0
    var handedOn = 0
    var cutConnections = 0

    static func += (sum: inout Self, one: Self) {
      sum.held += one.held
      sum.lost += one.lost
      sum.granted += one.granted
      sum.missedGrants += one.missedGrants
      sum.handedOn += one.handedOn
      sum.cutConnections += one.cutConnections
    }
  }

  let keyCount = 3
  let weather: Weather
  var generator: SeededGenerator
  var server: SimulatedServer
  /// The time in µs.
  private(set) var now: Int64 = 0
  /// Whether new locks are asked for.
  private(set) var isOpen = true
  /// What was found; the simulation ends with the first.
  private(set) var finding: String?
  /// How often what happened.
  private(set) var counts = Counts()
  /// Tokens whose clean-up was not sent for as long as their keys can live: it is not sent at all then.
  private var unsent: Set<Int> = []
  /// Later events first.
  private var events: [Event] = []
  private var lockers: [SimulatedLocker] = []
  private var tasks: [SimulatedTask] = []
  private var lockerCount = 0
  /// The largest fencing tokens held so far, by key, each with the time from which on it was.
  private var fences: [[(since: Int64, number: UInt64)]]
  private let serverDrift: Int64
  private let tracer: ((String) -> Void)?

  /// How long new locks are asked for, how long connections break, and until when all must have ended.
  private static let opening: Int64 = 1_500_000
  private static let storm: Int64 = 60_000_000
  private static let end: Int64 = 90_000_000

  init(seed: UInt64, tracer: ((String) -> Void)? = nil) {
    var generator = SeededGenerator(seed: seed)
    weather = Weather(using: &generator)
    serverDrift =
      weather.drift == 0
      ? 0 : Int64(generator.next() % UInt64(2 * weather.drift)) - Int64(weather.drift)
    self.generator = generator
    self.tracer = tracer
    server = SimulatedServer(keyCount: keyCount)
    fences = Array(repeating: [], count: keyCount)
    for _ in 0..<2 + pick(4) { addLocker() }
    planMishaps()
  }

  /// Runs to the end, or to the first finding.
  func run() {
    at(Self.opening) { [self] in isOpen = false }
    while finding == nil, let event = events.popLast() {
      guard event.time < Self.end else { break }
      now = max(now, event.time)
      event.action()
    }
    if finding == nil { checkEnd() }
    // All hold each other: actions the simulation, tasks what they wait for, and that the tasks.
    events = []
    for task in tasks { task.takeApart() }
    tasks = []
    lockers = []
  }

  // MARK: Chance

  func pick(_ count: Int) -> Int { Int(truncatingIfNeeded: generator.next() >> 1) % count }

  func happens(_ thousandths: Int) -> Bool { thousandths > 0 && pick(1000) < thousandths }

  /// Whether a connection breaks at a message.
  ///
  /// Not for good: with hundreds of clean-ups to be sent, none of which may break, nobody would get through.
  func breaks() -> Bool { now < Self.storm && happens(weather.breaks) }

  /// How long a message is under way.
  func delay() -> Int64 {
    isOpen && happens(weather.stalls)
      ? Int64(pick(1_000_000)) : Int64(50 + pick(300))
  }

  // MARK: Time

  func at(_ time: Int64, _ action: @escaping () -> Void) {
    var index = events.count
    while index > 0, events[index - 1].time <= time { index -= 1 }
    events.insert(Event(time: time, action: action), at: index)
  }

  private func addLocker() {
    lockerCount += 1
    let locker = SimulatedLocker(lockerCount, in: self)
    lockers.append(locker)
    for _ in 0...pick(2) { tasks.append(SimulatedTask(of: locker)) }
  }

  private func planMishaps() {
    for _ in 0..<pick(4) {
      let time = Int64(pick(Int(Self.opening)))
      if weather.kills {
        at(time) { [self] in
          let index = pick(lockers.count)
          if happens(600) {
            note("locker \(lockers[index].id) stops")
            lockers[index].stop(for: Int64(pick(1_000_000)))
          } else {
            note("locker \(lockers[index].id) dies")
            lockers.remove(at: index).kill()
            addLocker()
          }
        }
      }
      if weather.forgets {
        at(time) { [self] in
          note("the server forgets")
          for key in server.locks.indices { server.locks[key] = .init() }
          server.counter = 0
        }
      }
    }
  }

  // MARK: The server

  private func tellServerTheTime() {
    // The clock of the day, so that numbers are as large as they are.
    server.time = 1_700_000_000_000_000 + now + now * serverDrift / 1_000_000
  }

  /// Lets the server answer a question, now and, if it has several steps, a little later.
  func execute(_ question: Question, answer: @escaping (SimulatedAnswer) -> Void) {
    tellServerTheTime()
    switch question {
    case .take(let key, let token, let ttl):
      let isSet = server.setIfAbsent(key, token, ttl: ttl)
      if isSet, happens(weather.forces) { at(now + 1) { [self] in force(key) } }
      let pause = stepPause
      at(now + pause) { [self] in
        let number = server.draw(1)
        at(now + pause) { [self] in
          tellServerTheTime()
          answer(.taken(isSet: isSet, number: number, value: server.value(key)))
        }
      }
    case .acquire(let keys, let token, let ttl, let numbers):
      if let first = server.acquire(keys, token, ttl: ttl, numbers: numbers) {
        answer(.acquired(first: first))
      } else {
        let holder = server.holder(of: keys, besides: token)
        answer(.contended(remaining: holder.flatMap { server.remaining($0) }))
      }
    case .poll(let keys, let token, let ttl, let lapse, let numbers, let seen, let raises):
      answer(
        .poll(
          server.poll(
            keys, token, ttl: ttl, lapse: lapse, numbers: numbers, seen: seen, raises: raises)))
    case .release(let keys, let token, let leaves):
      answer(.released(server.release(keys, token, leaves: leaves)))
    case .extend(let keys, let token, let ttl, let numbers):
      let (isOurs, first) = server.extend(keys, token, ttl: ttl, numbers: numbers)
      answer(.extended(isOurs: isOurs, first: first))
    case .raise(let seen, let keys, let token):
      answer(.raised(server.raise(above: seen, keys, token)))
    }
    if tracer != nil {
      note("\(question), then \(server.locks.map { $0.value ?? 0 }), \(server.counter)")
    }
    publish()
    checkHolders()
  }

  /// The pause between two steps of a question.
  var stepPause: Int64 { weather.forces > 0 ? 1500 : 50 }

  private func force(_ key: Int) {
    tellServerTheTime()
    note("key \(key) is freed by force")
    server.forceRelease(key)
    publish()
  }

  private func publish() {
    guard !server.messages.isEmpty else { return }
    let messages = server.messages
    server.messages = []
    for message in messages {
      let id = SimulatedServer.locker(of: message.token)
      if let locker = lockers.first(where: { $0.id == id }) { locker.bring(message) }
    }
  }

  // MARK: Checks

  /// Counts one more of something.
  func count(_ what: WritableKeyPath<Counts, Int>) { counts[keyPath: what] += 1 }

  private var leases: [SimulatedLease] { lockers.flatMap(\.leases) }

  func note(_ text: @autoclosure () -> String) { tracer?("\(now) \(text())") }

  private func find(_ text: String) {
    if finding == nil { finding = "at \(now) µs: \(text)" }
    note("FOUND: \(text)")
  }

  /// Who relies on a lock has it on the server, so no two do.
  private func checkHolders() {
    guard weather.isTrusty else { return }
    tellServerTheTime()
    for lease in leases where lease.isHeld {
      for key in lease.keys where server.value(key) != lease.token {
        let holder = server.value(key).map { "\($0)'s" } ?? "free"
        find("\(lease.token) relies on key \(key), which is \(holder)")
      }
    }
  }

  /// Notes that somebody has got a lock that was asked for at a time.
  func noteHeld(_ lease: SimulatedLease, askedAt: Int64) {
    note("\(lease.token) holds \(lease.keys) with \(lease.fence)")
    guard lease.isHeld else { return }
    counts.held += 1
    for key in lease.keys {
      // Whoever asked before the server forgot may have its lock after the next holder.
      let former = weather.isTrusty ? fences[key].last : fences[key].last { $0.since < askedAt }
      if let former, lease.fence <= former.number {
        find("fence \(lease.fence) of \(lease.token) follows \(former.number)")
      }
      // Who is behind it by now outranks it.
      let holder = leases.first { server.value(key) == $0.token && $0.isHeld }
      if let holder, holder.fence < lease.fence {
        find("\(lease.token) has fence \(lease.fence), \(holder.token) holds by \(holder.fence)")
      }
      fences[key].append((now, max(lease.fence, fences[key].last?.number ?? 0)))
    }
    checkHolders()
  }

  func noteReleased(_ lease: SimulatedLease, _ released: SimulatedServer.Released) {
    note("\(lease.token) released \(lease.keys): \(released)")
    if lease.wasValid, weather.isFair, weather.stalls == 0, released.outcome != 1 {
      find("\(lease.token) was valid when it was released, and the server says \(released)")
    }
  }

  /// Notes a clean-up that is given up because there was no connection in time.
  func noteUnsent(_ question: Question) {
    if case .release(_, let token, _) = question { unsent.insert(token) }
  }

  private func checkEnd() {
    if let task = tasks.first(where: { $0.isAlive && $0.asksSince != nil }) {
      find("a task waits since \(task.asksSince ?? 0)")
    }
    guard weather.isFair else { return }
    for key in 0..<keyCount {
      if let token = server.locks[key].value, !unsent.contains(token) {
        find("\(token) is left in key \(key)")
      }
      if let entry = server.locks[key].queue.first {
        find("\(entry.token) is left in the queue of key \(key)")
      }
    }
  }
}
