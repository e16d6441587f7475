@testable import AsyncRedisLock
import AsyncRedisLockTesting

/// A process with one locker: its clock, its connections, and what it listens for.
final class SimulatedLocker {
  static let epoch = Instant.now
  static let operationTimeout: Int64 = 100_000

  enum GrantChannel { case closed, opening, ready }

  let id: Int
  unowned let world: Simulation
  /// How far this clock is off, in µs, and how much faster it runs, in millionths.
  private let offset: Int64
  private let drift: Int64
  let fences = FenceCounter()
  private var connection: SimulatedConnection?
  private var isReady = false
  private var backlog: [SimulatedRequest] = []
  private var nextSerial = 0
  private(set) var inbox = GrantChannel.closed
  /// Tells the inbox's connections apart.
  private var inboxSerial = 0
  private var inboxHears: Int64 = 0
  var places: [Int: SimulatedEntry] = [:]
  var leases: [SimulatedLease] = []
  private(set) var isDead = false
  private var stoppedUntil: Int64 = 0

  init(_ id: Int, in world: Simulation) {
    self.id = id
    self.world = world
    offset = Int64(world.pick(1_000_000_000))
    drift =
      world.weather.drift == 0
      ? 0 : Int64(world.pick(2 * world.weather.drift)) - Int64(world.weather.drift)
  }

  // MARK: Time

  /// The time by this locker's clock.
  var now: Instant {
    Self.epoch + .microseconds(offset + world.now + world.now * drift / 1_000_000)
  }

  /// The simulation's time at an instant of this locker's clock.
  func time(of instant: Instant) -> Int64 {
    let local = (Self.epoch.duration(to: instant).wholeNanoseconds + 999) / 1000 - offset
    return local - local * drift / (1_000_000 + drift) + 1
  }

  /// Does something at a time, or later if the process is stopped then; never, if it is dead.
  func at(_ time: Int64, _ action: @escaping () -> Void) {
    world.at(time) { [self] in
      if isDead { return }
      if stoppedUntil > world.now { at(stoppedUntil, action) } else { action() }
    }
  }

  /// Stops the process, as SIGSTOP does.
  func stop(for duration: Int64) { stoppedUntil = max(stoppedUntil, world.now + duration) }

  /// Kills the process.
  func kill() {
    isDead = true
    leases = []
    connection?.isOpen = false
    let former = inbox
    inbox = .closed
    if former == .ready { world.at(world.now + world.delay()) { [self] in hangUpInbox() } }
  }

  /// Lets go of everything, at the end.
  func takeApart() {
    (connection, backlog, places, leases) = (nil, [], [:], [])
  }

  func makeToken() -> Int {
    nextSerial += 1
    return SimulatedServer.token(nextSerial, of: id)
  }

  // MARK: Asking

  func submit(_ request: SimulatedRequest) {
    at(request.deadline) { [self] in
      guard request.phase != .finished else { return }
      backlog.removeAll { $0 === request }
      if request.isCleanUp, request.phase == .queued { world.noteUnsent(request.question) }
      request.fail { submit($0) }
    }
    if isReady, let connection {
      send(request, on: connection)
    } else {
      backlog.append(request)
      if connection == nil { connect() }
    }
  }

  /// Gives a request up whose caller was cancelled.
  func abandon(_ request: SimulatedRequest) {
    backlog.removeAll { $0 === request }
    request.fail { submit($0) }
  }

  private func connect() {
    let connection = SimulatedConnection()
    self.connection = connection
    at(world.now + world.delay()) { [self] in
      fences.connectionChanged()
      let greeting = SimulatedRequest(
        .raise(seen: fences.largest, keys: [], token: 0),
        deadline: world.now + Self.operationTimeout
      ) { [self] answer, _ in
        guard case .raised(let number?) = answer else { return }
        _ = fences.accept(number, isRaised: true)
        isReady = true
        let waiting = backlog
        backlog = []
        for request in waiting where request.phase == .queued { send(request, on: connection) }
      }
      send(greeting, on: connection)
    }
  }

  private func send(_ request: SimulatedRequest, on connection: SimulatedConnection) {
    request.phase = .sent
    request.sentAt = now
    if connection.inFlight.isEmpty { connection.quietSince = world.now }
    connection.inFlight.append(request)
    watch(connection)
    deliver(request.question, on: connection) { [self] answer in
      receive(answer, to: request, on: connection)
    }
  }

  /// Brings a question to the server, and the answer back, as far as the weather allows.
  private func deliver(
    _ question: Question, on connection: SimulatedConnection,
    answer: @escaping (SimulatedAnswer) -> Void
  ) {
    if world.breaks() { cut(connection) }
    connection.serverHears = max(connection.serverHears + 1, world.now + world.delay())
    guard !connection.isCut else { return }
    let arrival = connection.serverHears
    // Those behind it come after its last step.
    if case .take = question { connection.serverHears += 3 * world.stepPause }
    world.at(arrival) { [self] in
      world.execute(question) { [self] reply in
        if world.breaks() { cut(connection) }
        guard !connection.isCut else { return }
        connection.clientHears = max(connection.clientHears + 1, world.now + world.delay())
        at(connection.clientHears) { answer(reply) }
      }
      if world.happens(world.weather.repeats) { world.execute(question) { _ in } }
    }
  }

  private func cut(_ connection: SimulatedConnection) {
    guard !connection.isCut else { return }
    connection.isCut = true
    world.count(\.cutConnections)
    // Nobody is told of every second one.
    guard world.happens(500) else { return }
    at(world.now + world.delay()) { [self] in disconnect(connection) }
  }

  private func receive(
    _ answer: SimulatedAnswer, to request: SimulatedRequest, on connection: SimulatedConnection
  ) {
    guard connection.isOpen, connection.inFlight.first === request else { return }
    connection.inFlight.removeFirst()
    connection.quietSince = world.now
    guard request.phase != .finished else { return }
    request.phase = .finished
    request.completion(answer, request.sentAt)
  }

  /// Gives a connection up on which the server says nothing.
  private func watch(_ connection: SimulatedConnection) {
    guard !connection.isWatched else { return }
    connection.isWatched = true
    at(connection.quietSince + Self.operationTimeout) { [self] in
      connection.isWatched = false
      guard connection.isOpen, !connection.inFlight.isEmpty else { return }
      if world.now >= connection.quietSince + Self.operationTimeout {
        disconnect(connection)
      } else {
        watch(connection)
      }
    }
  }

  private func disconnect(_ connection: SimulatedConnection) {
    guard connection.isOpen else { return }
    connection.isOpen = false
    isReady = false
    let unanswered = connection.inFlight
    connection.inFlight = []
    // On the same connection, behind what it takes back.
    for undo in unanswered.compactMap({ $0.undo?() }) + backlog.filter(\.isCleanUp) {
      deliver(undo.question, on: connection) { _ in }
    }
    let repeated = unanswered.filter { $0.isRepeatable && $0.phase == .sent }
    for request in repeated { request.phase = .queued }
    backlog = repeated + backlog
    for request in unanswered where !request.isRepeatable { request.fail { backlog.append($0) } }
    at(world.now + world.delay() + Int64(world.pick(20_000))) { [self] in connect() }
  }

  // MARK: Being told

  func openInbox() {
    guard inbox == .closed else { return }
    inbox = .opening
    connectInbox()
  }

  private func connectInbox() {
    inboxSerial += 1
    let serial = inboxSerial
    at(world.now + world.delay()) { [self] in
      world.server.listeners[id, default: 0] += 1
      inboxHears = max(inboxHears, world.now)
      at(world.now + world.delay()) { [self] in
        guard inboxSerial == serial else { return }
        inbox = .ready
        hurryAll()
      }
    }
  }

  /// Makes a new connection for the inbox.
  func reconnectInbox() {
    guard inbox == .ready else { return }
    inbox = .opening
    // The server may notice later, or earlier, than the client does.
    world.at(world.now + world.delay()) { [self] in hangUpInbox() }
    hurryAll()
    connectInbox()
  }

  private func hangUpInbox() { world.server.listeners[id, default: 1] -= 1 }

  private func hurryAll() { for place in places.values { place.hurry() } }

  /// Brings a message from the server, as far as the weather allows.
  func bring(_ message: SimulatedServer.Message) {
    if world.breaks() {
      at(world.now + world.delay()) { [self] in reconnectInbox() }
      return
    }
    inboxHears = max(inboxHears + 1, world.now + world.delay())
    let serial = inboxSerial
    at(inboxHears) { [self] in if inboxSerial == serial { read(message) } }
    if world.happens(world.weather.repeats) {
      at(inboxHears + Int64(world.pick(2_000_000))) { [self] in read(message) }
    }
  }

  private func read(_ message: SimulatedServer.Message) {
    guard message.first > 0 else { return }
    let numbers = message.first..<message.first + UInt64(message.numbers)
    if let place = places[message.token] {
      fences.noteGranted(numbers.upperBound - 1)
      place.granted(numbers)
    } else {
      submit(cleanUp(message.keys, message.token, until: world.now + 1_000_000))
    }
  }

  // MARK: Giving back

  func cleanUp(_ keys: [Int], _ token: Int, until end: Int64) -> SimulatedRequest {
    SimulatedRequest(
      .release(keys: keys, token: token, leaves: true), deadline: end, isRepeatable: true
    ) { _, _ in }
  }
}
