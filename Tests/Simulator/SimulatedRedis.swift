import AsyncRedisLock
import AsyncRedisLockTesting

/// The server: takes commands as bytes, and answers as the real one does, with keys and tokens as numbers inside.
final class SimulatedRedis {
  unowned let scheduler: Scheduler
  private let weather: Weather
  private(set) var server: SimulatedServer
  var sessions: [Session] = []
  /// How much faster its clock runs, in millionths, and how far it is off, in microseconds.
  private let drift: Int64
  var offset: Int64 = 1_700_000_000_000_000
  private let keys: [String]
  private var tokens: [String: Int] = [:]
  private var tokenNames: [Int: String] = [:]
  private var lockers: [String: Int] = [:]
  /// The digests of the scripts that it knows.
  private var known: Set<String> = []
  private typealias Run = @Sendable (SimulatedRedis, [String], [String]) -> Answer?
  private static let scripts: [(Script, Run)] = [
    (.acquire, { $0.acquire($1, $2) }), (.adopt, { $0.adopt($1, $2) }),
    (.poll, { $0.poll($1, $2) }), (.refresh, { $0.refresh($1, $2) }),
    (.extend, { $0.extend($1, $2) }), (.release, { $0.release($1, $2) }),
    (.releaseGroup, { $0.releaseGroup($1, $2) }),
    (.keep, { $0.keep($1, $2) }), (.fence, { $0.raise($1, $2) }),
  ]
  /// How many waiters were told that they have their keys.
  private(set) var grantCount = 0
  /// Called when something has been changed.
  var onChange: () -> Void = {}

  init(on scheduler: Scheduler, _ weather: Weather, keys: [String], drift: Int64) {
    self.scheduler = scheduler
    self.weather = weather
    self.keys = keys
    self.drift = drift
    server = SimulatedServer(keyCount: keys.count)
  }

  // MARK: Looking

  /// Who holds a key.
  func holder(of key: Int) -> String? {
    setTime()
    return server.value(key).flatMap { tokenNames[$0] }
  }

  /// The first in the queue of a key.
  func firstWaiter(of key: Int) -> String? {
    setTime()
    return server.hasQueue(key) ? tokenNames[server.locks[key].queue[0].token] : nil
  }

  /// The identity of the locker whose token it is.
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
  }

  func hangUpAll() { for session in sessions { hangUp(session) } }

  var snapshot: SimulatedServer { server }

  func loseCounter() { server.counter = 0 }

  /// Frees a key, as an operator does.
  func free(_ key: Int) {
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

  /// Executes one command, and the next after a moment: others may come between the two.
  private func work(on session: Session) {
    session.isAtWork = true
    guard session.isOpen, let command = session.nextCommand() else {
      session.isAtWork = false
      return
    }
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
    session.line?.answer(answer.encoded)
    publish()
    onChange()
  }

  private func answer(to command: [String], on session: Session) -> Answer {
    switch command[0] {
    case "SET":
      let isSet = server.setIfAbsent(
        number(ofKey: command[1]), number(of: command[2]), ttl: Int64(command[5]) ?? 0)
      if isSet, scheduler.happens(weather.forces) {
        let key = number(ofKey: command[1])
        scheduler.at(scheduler.now + 1000, of: nil) { [self] in free(key) }
      }
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

  /// Sends what was published to those who listen.
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
      for session in sessions where session.channels.contains(channel) {
        session.line?.answer(
          Answer.array([.text("message"), .text(channel), .text(text)]).encoded)
      }
    }
  }

  // MARK: Names and numbers

  private func number(ofKey key: String) -> Int {
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

  // MARK: Scripts

  private func numbers(ofKeys names: some Sequence<String>) -> [Int] {
    names.map { number(ofKey: $0) }
  }

  /// The lock keys among the keys of a script that includes queue.lua.
  private func locks(_ names: [String]) -> [Int] {
    stride(from: 0, to: names.count - 1, by: 3).map { number(ofKey: names[$0]) }
  }

  private func name(_ token: Int?) -> Answer { .text(token.flatMap { tokenNames[$0] } ?? "") }

  private func contended(_ keys: [Int], _ token: Int) -> Answer {
    let key = server.holder(of: keys, besides: token)
    return .array([
      .number(0), name(key.flatMap { server.value($0) }),
      .number(key.flatMap { server.remaining($0) } ?? -2),
    ])
  }

  private func acquire(_ keys: [String], _ words: [String]) -> Answer {
    let (token, count) = (number(of: words[0]), Int(words[2]) ?? 0)
    let locks = numbers(ofKeys: keys.prefix(count))
    guard
      let first = server.acquire(
        locks, token, ttl: Int64(words[1]) ?? 0, numbers: Int(words[3]) ?? 1)
    else { return contended(locks, token) }
    return .array([.number(1), .text(String(first))])
  }

  private func adopt(_ keys: [String], _ words: [String]) -> Answer {
    let (former, token, count) = (number(of: words[0]), number(of: words[1]), Int(words[3]) ?? 0)
    let locks = numbers(ofKeys: keys.prefix(count))
    guard
      let first = server.adopt(
        locks, from: former, token, ttl: Int64(words[2]) ?? 0, numbers: Int(words[4]) ?? 1)
    else { return contended(locks, token) }
    return .array([.number(1), .text(String(first))])
  }

  private func poll(_ keys: [String], _ words: [String]) -> Answer {
    let answer = server.poll(
      locks(keys), number(of: words[1]), ttl: Int64(words[2]) ?? 0, lapse: Int64(words[3]) ?? 0,
      numbers: Int(words[4]) ?? 1, seen: UInt64(words[5]) ?? 0, raises: words[6] == "1")
    switch answer {
    case .taken(let first, let wasGranted):
      return .array([.number(wasGranted ? 2 : 1), .text(String(first))])
    case .wait(let counter, let holder, let remaining, let isSilent, let isHeard):
      return .array([
        .number(0), .text(String(counter)), name(holder), .number(remaining ?? -1),
        .number(isSilent ? 1 : 0), .number(isHeard ? 1 : 0),
      ])
    }
  }

  private func refresh(_ keys: [String], _ words: [String]) -> Answer {
    var places: [(key: Int, token: Int, lapse: Int64)] = []
    for (index, key) in locks(keys).enumerated() {
      places.append((key, number(of: words[2 + 2 * index]), Int64(words[3 + 2 * index]) ?? 0))
    }
    let (counter, holders) = server.refresh(places, seen: UInt64(words[1]) ?? 0)
    var answer: [Answer] = [.text(String(counter))]
    for (place, holder) in zip(places, holders) {
      answer.append(name(holder))
      answer.append(.number(holder == nil ? -1 : server.remaining(place.key) ?? -1))
    }
    return .array(answer)
  }

  private func extend(_ keys: [String], _ words: [String]) -> Answer {
    var (answer, first): ([Answer], Int) = ([], 0)
    let numbers = words.count % 3 == 1 ? Int(words[words.count - 1]) ?? 0 : 0
    for index in stride(from: 0, to: words.count - 2, by: 3) {
      let count = Int(words[index + 2]) ?? 0
      let ttl = words[index + 1].split(separator: " ").first.flatMap { Int64($0) } ?? 0
      let (isOurs, number) = server.extend(
        self.numbers(ofKeys: keys[first..<first + count]), self.number(of: words[index]), ttl: ttl,
        numbers: numbers)
      answer.append(.number(isOurs ? 1 : 0))
      if let number { answer.append(.text(String(number))) }
      first += count
    }
    return .array(answer)
  }

  private func release(_ keys: [String], _ words: [String]) -> Answer? {
    if keys.count == 4, words.count == 2,
      server.releaseAlone(number(ofKey: keys[0]), number(of: words[1]))
    {
      return nil
    }
    let released = server.release(locks(keys), number(of: words[1]), leaves: words.count > 2)
    return .array([.number(Int64(released.outcome)), .number(Int64(released.handed))])
  }

  private func releaseGroup(_ keys: [String], _ words: [String]) -> Answer {
    let left = words.indices.filter { index in
      !server.releaseAlone(number(ofKey: keys[2 * index]), number(of: words[index]))
    }
    return .array(left.map { .number(Int64($0 + 1)) })
  }

  private func keep(_ keys: [String], _ words: [String]) -> Answer {
    let outcome = server.keep(
      numbers(ofKeys: keys), number(of: words[0]), for: Int64(words[1]) ?? 0)
    return .array([.number(Int64(outcome)), .number(0)])
  }

  private func raise(_ keys: [String], _ words: [String]) -> Answer {
    let number = server.raise(
      above: UInt64(words[0]) ?? 0, numbers(ofKeys: keys.dropFirst()), number(of: words[1]))
    return number.map { .text(String($0)) } ?? .null
  }
}

/// An answer of the server.
enum Answer {
  case status(String)
  case error(String)
  case number(Int64)
  case text(String)
  case null
  indirect case array([Answer])

  /// The bytes of the answer, by RESP2.
  var encoded: [UInt8] { Array(text.utf8) }

  private var text: String {
    switch self {
    case .status(let text): "+\(text)\r\n"
    case .error(let text): "-\(text)\r\n"
    case .number(let number): ":\(number)\r\n"
    case .text(let text): "$\(text.utf8.count)\r\n\(text)\r\n"
    case .null: "$-1\r\n"
    case .array(let answers): "*\(answers.count)\r\n" + answers.map(\.text).joined()
    }
  }
}
