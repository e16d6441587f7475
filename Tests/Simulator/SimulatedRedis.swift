import AsyncRedisLock
import AsyncRedisLockTesting

/// The server: takes commands as bytes and answers as the real one does; keys and tokens are numbers inside.
final class SimulatedRedis {
  unowned let scheduler: Scheduler
  let weather: Weather
  var server: SimulatedServer
  var sessions: [Session] = []
  /// How much faster its clock runs, in millionths, and how far it is off, in microseconds.
  private let drift: Int64
  private var offset: Int64 = 1_700_000_000_000_000
  private let keys: [String]
  private var tokens: [String: Int] = [:]
  private(set) var tokenNames: [Int: String] = [:]
  private var lockers: [String: Int] = [:]
  /// The digests of the scripts it knows.
  private var known: Set<String> = []
  lazy var replication = Replication(of: server)
  private typealias Run = @Sendable (SimulatedRedis, [String], [String]) -> Answer?
  private static let scripts: [(Script, Run)] = [
    (.acquire, { $0.acquire($1, $2) }), (.adopt, { $0.adopt($1, $2) }),
    (.poll, { $0.poll($1, $2) }), (.refresh, { $0.refresh($1, $2) }),
    (.extend, { $0.extend($1, $2) }), (.release, { $0.release($1, $2) }),
    (.releaseGroup, { $0.releaseGroup($1, $2) }),
    (.keep, { $0.keep($1, $2) }), (.fence, { $0.raise($1, $2) }),
  ]
  /// When each token was first reported to have its keys.
  private var heldSince: [String: Int64] = [:]
  /// The tokens whose locks the command under way confirms.
  private var confirmed: [String] = []
  /// When keys were last lost or expired too early.
  private var lastBreach: Int64 = -1
  /// How many waiters were told that they have their keys.
  private(set) var grantCount = 0
  /// When each key was last known to expire.
  private var expiries: [Int64]
  /// Called after each change, and just after a key has expired.
  var onChange: () -> Void = {}

  init(on scheduler: Scheduler, _ weather: Weather, keys: [String], drift: Int64) {
    self.scheduler = scheduler
    self.weather = weather
    self.keys = keys
    self.drift = drift
    server = SimulatedServer(keyCount: keys.count)
    expiries = Array(repeating: 0, count: keys.count)
  }

  // MARK: Looking

  /// The token that holds a key.
  func holder(of key: Int) -> String? {
    setTime()
    return server.value(key).flatMap { tokenNames[$0] }
  }

  /// The first in the queue of a key.
  func firstWaiter(of key: Int) -> String? {
    setTime()
    return server.hasQueue(key) ? tokenNames[server.locks[key].queue[0].token] : nil
  }

  /// Whether nothing since this token got its keys could have taken them from it.
  func keepsWord(to token: String) -> Bool {
    weather.forces == 0 && heldSince[token].map { $0 > lastBreach } ?? true
  }

  /// Whether some key is held, and whether some waiter is in a queue.
  var use: (isHeld: Bool, isQueued: Bool) {
    setTime()
    return (
      keys.indices.contains { server.value($0) != nil },
      keys.indices.contains { server.hasQueue($0) }
    )
  }

  /// The identity of the locker that made a token.
  private static func locker(of token: String) -> String {
    let fields = token.split(separator: ":", omittingEmptySubsequences: false)
    return fields.count == 7 ? String(fields[4]) : ""
  }

  func setTime() {
    let now = scheduler.now / 1000
    server.time = offset + now + now * drift / 1_000_000
  }

  // MARK: Trouble

  /// Loses all data, and its connections.
  func restart(with snapshot: SimulatedServer? = nil) {
    hangUpAll()
    var fresh = snapshot ?? SimulatedServer(keyCount: keys.count)
    fresh.listeners = [:]
    fresh.messages = []
    server = fresh
    known = []
    lastBreach = scheduler.now
  }

  func forgetScripts() { known = [] }

  func hangUpAll() { for session in sessions { hangUp(session) } }

  var snapshot: SimulatedServer { server }

  func loseCounter() { server.counter = 0 }

  /// Sets the clock forward, so that keys expire too early, or back, so that they last too long; in microseconds.
  ///
  /// Redis goes by the time of day, which an operator may set.
  func setClock(by microseconds: Int64) {
    offset += microseconds
    if microseconds > 0 { lastBreach = scheduler.now }
  }

  /// Frees a key, as an operator can.
  func free(_ key: Int) {
    scheduler.count(.keyFreed)
    setTime()
    server.forceRelease(key)
    publish()
  }

  // MARK: Connections

  func receive(_ bytes: [UInt8], on session: Session) {
    guard session.isOpen else { return }
    session.receive(bytes)
    if !session.isAtWork { work(on: session) }
  }

  /// Executes one command, and the next after a moment: commands of other clients may come between the two.
  func work(on session: Session) {
    session.isAtWork = true
    guard session.isOpen, let command = session.nextCommand() else {
      session.isAtWork = false
      return
    }
    if command[0] == "WAIT", wait(session, milliseconds: Int64(command[2]) ?? 0) { return }
    execute(command, on: session)
    let pause = weather.forces > 0 ? 1_500_000 : Int64(scheduler.pick(30_000))
    scheduler.at(scheduler.now + pause, of: nil) { [self] in work(on: session) }
  }

  /// Executes all that has arrived.
  func finish(_ session: Session) {
    guard weather.forces == 0 else { return }
    while session.isOpen, let command = session.nextCommand() { execute(command, on: session) }
  }

  func hangUp(_ session: Session) {
    guard session.isOpen else { return }
    session.isOpen = false
    for channel in session.channels { change(channel, by: -1) }
    sessions.removeAll { $0 === session }
    session.line?.serverCloses()
  }

  private func change(_ channel: String, by count: Int) {
    server.listeners[number(ofLocker: Self.suffix(of: channel)), default: 0] += count
  }

  private static func suffix(of channel: String) -> String {
    String(channel.split(separator: ":").last ?? "")
  }

  // MARK: Commands

  private func execute(_ command: [String], on session: Session) {
    setTime()
    let answer = self.answer(to: command, on: session)
    scheduler.note("\(command.map { $0.prefix(80) }), then \(answer)")
    session.line?.answer(answer.encoded, confirming: confirmed)
    confirmed = []
    publish()
    replicate()
    session.writtenAt = replication.primaryOffset
    onChange()
    awaitExpiries()
  }

  /// Schedules a call of `onChange` just after each key expires.
  private func awaitExpiries() {
    for (key, lock) in server.locks.enumerated() where lock.expiry != expiries[key] {
      expiries[key] = lock.expiry
      let left = (lock.expiry + 2) * 1000 - server.time
      let time = scheduler.now + (left - left * drift / 1_000_000) * 1000
      scheduler.at(time, of: nil) { [weak self] in self?.onChange() }
    }
  }

  /// Notes that the command under way confirms the lock of a token.
  func confirm(_ token: String) {
    confirmed.append(token)
    if heldSince[token] == nil { heldSince[token] = scheduler.now }
  }

  private func answer(to command: [String], on session: Session) -> Answer {
    switch command[0] {
    case "SET" where command[1] == "redis-lock:ack": return .status("OK")
    // The answer was there at once.
    case "WAIT": return .number(session.writtenAt <= replication.offset ? 1 : 0)
    case "INFO": return information(command[1])
    case "SET":
      let isSet = server.setIfAbsent(
        number(ofKey: command[1]), number(of: command[2]), ttl: Int64(command[5]) ?? 0)
      if isSet, scheduler.happens(weather.forces) {
        let key = number(ofKey: command[1])
        scheduler.at(scheduler.now + 1000, of: nil) { [self] in free(key) }
      }
      if isSet { confirm(command[2]) }
      return isSet ? .status("OK") : .null
    case "GETRANGE":
      return .text(server.value(number(ofKey: command[1])).flatMap { tokenNames[$0] } ?? "")
    case "INCR": return .number(Int64(server.draw(1)))
    case "PUBSUB":
      let locker = number(ofLocker: Self.suffix(of: command[2]))
      return .array([.text(command[2]), .number(Int64(server.listeners[locker, default: 0]))])
    case "SUBSCRIBE":
      if session.channels.insert(command[1]).inserted { change(command[1], by: 1) }
      return .array([.text("subscribe"), .text(command[1]), .number(1)])
    case "PING": return .array([.text("pong"), .text(command.count > 1 ? command[1] : "")])
    case "CLIENT": return .status("OK")
    case "HELLO":
      return .array([.text("mode"), .text("standalone"), .text("role"), .text("master")])
    case "EVAL":
      guard let script = Self.scripts.first(where: { $0.0.source == command[1] }) else {
        fatalError("an unknown script")
      }
      known.insert(script.0.digest)
      return run(script.1, command)
    case "EVALSHA":
      guard known.contains(command[1]) else { return .error("NOSCRIPT No matching script.") }
      guard let script = Self.scripts.first(where: { $0.0.digest == command[1] }) else {
        fatalError("an unknown script")
      }
      return run(script.1, command)
    default: fatalError("an unknown command: \(command)")
    }
  }

  private func run(_ script: Run, _ command: [String]) -> Answer {
    let count = Int(command[2]) ?? 0
    let answer = script(
      self, Array(command[3..<3 + count]), Array(command[(3 + count)...].dropLast()))
    let question = Answer.number(Int64(command.last ?? "") ?? -1)
    return answer.map { .array([question, $0]) } ?? question
  }

  /// Delivers published messages to their subscribers.
  private func publish() {
    let messages = server.messages
    server.messages = []
    for message in messages {
      let token = tokenNames[message.token] ?? ""
      let netstrings = message.keys.map { "\(keys[$0].utf8.count):\(keys[$0])" }.joined()
      let channel = "redis-lock:inbox:\(Self.locker(of: token))"
      let text = "\(message.first) \(message.numbers) \(token) \(netstrings)"
      scheduler.note("tells \(text)")
      grantCount += 1
      confirm(token)
      for session in sessions where session.channels.contains(channel) {
        session.line?.answer(
          Answer.array([.text("message"), .text(channel), .text(text)]).encoded,
          confirming: [token])
      }
      confirmed = []
    }
  }

  // MARK: Names and numbers

  func number(ofKey key: String) -> Int {
    guard let number = keys.firstIndex(of: key) else { fatalError("an unknown key: \(key)") }
    return number
  }

  private func number(ofLocker id: String) -> Int {
    if let number = lockers[id] { return number }
    lockers[id] = lockers.count + 1
    return lockers.count
  }

  func number(of token: String) -> Int {
    if let number = tokens[token] { return number }
    let number = SimulatedServer.token(
      tokens.count + 1, of: self.number(ofLocker: Self.locker(of: token)))
    tokens[token] = number
    tokenNames[number] = token
    return number
  }
}
