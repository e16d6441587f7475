internal import Synchronization

/// Knows the sentinels of one locker: makes the openers that ask them, and watches one of them for a change.
///
/// All connections of the locker lead to the primary that the connection for requests has found.
final class SentinelDirectory: Sendable {
  typealias Address = LockerConfiguration.Address

  /// The name of the primary.
  let primary: String
  let configuration: LockerConfiguration
  let machine: any Machine
  private let state: Locked<SentinelState>
  private let handler = Locked<(@Sendable (String) -> Void)?>(nil)
  private let watch = Locked(Watch())

  private struct Watch {
    var current: SentinelWatch?
    var isClosed = false
  }

  /// Creates a directory; returns nil if the configuration names no sentinels.
  init?(_ configuration: LockerConfiguration, on machine: any Machine) {
    guard case .sentinels(let sentinels, let primary) = configuration.address.kind else {
      return nil
    }
    self.configuration = configuration
    self.machine = machine
    self.primary = primary
    state = Locked(SentinelState(sentinels))
  }

  deinit { close() }

  /// Calls the handler, with the reason, whenever the connections have to be made anew.
  func onChange(_ handler: @escaping @Sendable (String) -> Void) {
    self.handler.withLock { $0 = handler }
  }

  /// Makes an opener that finds the primary for each connection.
  func makeOpener(_ purpose: SentinelOpener.Purpose) -> any StreamOpener {
    SentinelOpener(of: self, for: purpose)
  }

  /// Ends the watch for good; openers go on, since there may be locks to give back.
  func close() {
    let former = watch.withLock { watch in
      watch.isClosed = true
      return watch.current.take()
    }
    former?.close()
  }

  // MARK: For the openers

  /// The sentinels in the order to ask them, the primary if it is known, and the number of changes so far.
  var known: SentinelState { state.withLock { $0 } }

  /// Notes the server that the connection for requests is about to lead to; returns false if that is history.
  func connected(
    to address: Address, namedBy sentinel: Address.Sentinel, changeCount: Int
  ) -> Bool {
    let isCurrent = state.withLock {
      $0.connected(to: address, namedBy: sentinel, changeCount: changeCount)
    }
    if isCurrent { startWatch(of: sentinel) }
    return isCurrent
  }

  func isNotPrimary(_ address: Address, namedBy sentinel: Address.Sentinel?) {
    state.withLock { $0.isNotPrimary(address, namedBy: sentinel) }
  }

  // MARK: For the watch

  func answered(_ address: Address) {
    act(on: state.withLock { $0.answered(address) }, address)
  }

  func told(_ address: Address, by sentinel: Address.Sentinel?) {
    act(on: state.withLock { $0.told(address, by: sentinel) }, address)
  }

  private func act(on news: SentinelState.News, _ address: Address) {
    guard news == .changed else { return }
    handler.withLock { $0 }?("a sentinel names another primary, \(address)")
  }

  /// Watches the sentinel that was right, if it is not watched yet.
  private func startWatch(of sentinel: Address.Sentinel) {
    let (current, isNew): (SentinelWatch?, Bool) = watch.withLock { watch in
      guard !watch.isClosed else { return (nil, false) }
      if let current = watch.current { return (current, false) }
      let new = SentinelWatch(of: self)
      watch.current = new
      return (new, true)
    }
    if isNew { current?.open() } else { current?.move(to: sentinel) }
  }
}
