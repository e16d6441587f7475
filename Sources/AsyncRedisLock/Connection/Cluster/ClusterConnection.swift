internal import Synchronization

/// The connections to the nodes of a cluster: one to each master, made when it is used.
///
/// It finds out which node has which slot, sends each request to that node, and follows what nodes say about slots that
/// have moved.
final class ClusterConnection: Sendable {
  typealias Address = LockerConfiguration.Address

  /// A node, and the connection to it.
  struct Member: Sendable {
    let link: ClusterLink
    let connection: Connection
  }

  /// What the parts above do about changes.
  struct Handlers: Sendable {
    /// A connection has been made to a node, which may have forgotten what it was told.
    let loggedIn: @Sendable (Address) -> Void
    /// Other nodes have these slots now.
    let moved: @Sendable ([Int]) -> Void
  }

  struct State {
    var table = SlotTable()
    var members: [Address: Member] = [:]
    var subscribers: [Address: ShardSubscriber] = [:]
    /// The nodes that could not be reached, or not any more, since their last login.
    var failed: Set<Address> = []
    var openness = SubmissionQueue.Openness.open
    /// The connections that have not ended; only once the cluster is being closed.
    var open: Set<Address> = []
    var formerViolations = 0
    var refresh = ClusterRefresh()
    var handlers: Handlers?
    /// Whether the last report was that the connections work.
    var isReported = false
    var hasBeenConnected = false

    /// Whether it is news that no master has failed since its last login.
    mutating func isWhole() -> Bool {
      guard !isReported, hasBeenConnected, failed.isDisjoint(with: table.masters) else {
        return false
      }
      isReported = true
      return true
    }
  }

  let configuration: LockerConfiguration
  let machine: any Machine
  /// For all questions about the slots, which come one after the other.
  let refreshLogin: Login
  let seeds: [Address]
  let reporter: Reporter
  /// The queue for what is done later, and for questions about slots.
  let queue: any WorkQueue
  let state = Locked(State())
  /// Kept when all work is done after ``close()``.
  let ended = Promise<Void>()

  init(
    _ configuration: LockerConfiguration, seeds: [Address], on machine: any Machine,
    reporter: Reporter
  ) {
    self.configuration = configuration
    self.machine = machine
    self.seeds = seeds
    self.reporter = reporter
    queue = machine.makeQueue("cluster", .extensions)
    let hook = Handshake.ConnectHook(
      commands: { [SlotTable.question] }, received: { _ in true }, scriptCount: 0)
    refreshLogin = Login(configuration, connectHook: hook, on: machine)
  }

  var clock: LockClock { machine.clock }

  func onChange(_ handlers: Handlers) { state.withLock { $0.handlers = handlers } }

  // MARK: Members

  /// The node that has a slot, as far as is known; nil if the system lacks the resources for a connection.
  func member(of slot: Int) -> Member? {
    state.withLock { state in
      member(at: state.table.owner(of: slot) ?? candidate(&state), &state)
    }
  }

  func member(at address: Address) -> Member? { state.withLock { member(at: address, &$0) } }

  private func member(at address: Address, _ state: inout State) -> Member? {
    if let member = state.members[address] { return member }
    let link = ClusterLink(to: address, of: self)
    guard
      let connection = try? Connection(
        configuration.leading(to: address), link: link, reporter: reporter, on: machine)
    else { return nil }
    let member = Member(link: link, connection: connection)
    state.members[address] = member
    switch state.openness {
    case .open: break
    case .stopped: connection.stop()
    case .closing, .closed:
      state.open.insert(address)
      connection.close()
    }
    return member
  }

  /// A node to ask about a slot whose node is not known: one that can be reached, if there is one.
  private func candidate(_ state: inout State) -> Address {
    let all = state.table.masters + seeds
    return all.first { !state.failed.contains($0) }
      ?? {
        // All have failed: each gets its turn.
        state.failed = []
        return all[0]
      }()
  }

  /// The node that has a slot, as far as is known.
  func owner(of slot: Int) -> Address? { state.withLock { $0.table.owner(of: slot) } }

  var members: [Member] { state.withLock { Array($0.members.values) } }

  /// The addresses of all masters that are known.
  var masters: [Address] { state.withLock { $0.table.masters } }

  // MARK: Requests

  /// Sends a request to the node that has its slot.
  ///
  /// `servesItself` tells that no connection is locked by this thread, so that a task may do the work of this one.
  func submit(_ request: Request, servesItself: Bool = false) {
    send(request, to: member(of: request.slot ?? 0), servesItself: servesItself)
  }

  func send(_ request: Request, to member: Member?, servesItself: Bool = false) {
    guard let member else {
      return request.fail(.unreachable("the system has no file descriptor left")) { _ in }
    }
    member.connection.submit(request, servesItself: servesItself)
  }

  /// Gives up all connections: it is not known which one an answer came on.
  func distrust() { for member in members { member.connection.distrust() } }

  var violationCount: Int {
    state.withLock { state in
      state.members.values.reduce(state.formerViolations) { $0 + $1.connection.violationCount }
    }
  }

  /// The longest time that a node takes to answer.
  var roundTrip: Duration { members.map(\.connection.roundTrip).max() ?? .zero }

  func afterPause(_ pause: Duration, _ body: @escaping @Sendable () -> Void) {
    queue.async(after: pause, body)
  }

  // MARK: What connections tell

  func loggedIn(to address: Address) {
    let (handlers, isWhole) = state.withLock { state in
      state.failed.remove(address)
      state.hasBeenConnected = true
      return (state.handlers, state.isWhole())
    }
    if isWhole { reporter.connected() }
    handlers?.loggedIn(address)
  }

  func lost(_ address: Address, because cause: TransportError, isIdle: Bool) {
    let (isMaster, isOpen) = state.withLock { state in
      state.failed.insert(address)
      let masters = state.table.masters
      state.isReported = false
      return (masters.isEmpty || masters.contains(address), state.openness == .open)
    }
    if isMaster { reporter.disconnected(because: cause, isIdle: isIdle) }
    // Another node may have its slots by now.
    if isOpen { refresh() }
  }

  // MARK: Closing

  /// Fails what waits, except what gives back and cleans up.
  func stop() {
    let members = state.withLock { state in
      state.openness = max(state.openness, .stopped)
      return state.members.values
    }
    for member in members { member.connection.stop() }
  }

  func close() {
    let (members, subscribers) = state.withLock { state in
      state.openness = max(state.openness, .closing)
      defer { state.subscribers = [:] }
      state.open = Set(state.members.keys)
      return (state.members, state.subscribers.values)
    }
    for subscriber in subscribers { subscriber.close() }
    for member in members.values { member.connection.close() }
    refreshLogin.close()
    if members.isEmpty { ended.fulfil(()) }
    let waiting = state.withLock { $0.refresh.close() }
    for completion in waiting { completion(.failure(.closed)) }
  }

  func connectionEnded(_ address: Address) {
    let isLast = state.withLock { state in
      state.open.remove(address)
      return state.openness >= .closing && state.open.isEmpty
    }
    if isLast { ended.fulfil(()) }
  }
}
