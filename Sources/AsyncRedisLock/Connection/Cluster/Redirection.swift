/// What a node of a cluster says about a command that it has not executed.
enum Redirection: Equatable {
  typealias Address = LockerConfiguration.Address

  /// The slot belongs to another node.
  case moved(slot: Int, to: Address)
  /// The slot is on its way to another node, which may have the key of this command, and of no other.
  case ask(slot: Int, of: Address)
  /// Some of the command's keys have moved already, and others have not.
  case tryAgain
  /// The cluster does not serve the slot now.
  case down

  /// Reads an error; returns nil if it says nothing of that.
  ///
  /// `address` is the node that was asked: a node that names only a port means itself.
  init?(_ error: ServerError, from address: Address) {
    switch error.code {
    case .tryAgain: self = .tryAgain
    case .clusterDown: self = .down
    case .moved, .ask:
      let words = error.message.split(separator: " ")
      guard words.count >= 3, words[0] == error.code.rawValue, let slot = Int(words[1]),
        (0..<SlotTable.count).contains(slot),
        let target = Self.target(words[2], from: address)
      else { return nil }
      self = error.code == .moved ? .moved(slot: slot, to: target) : .ask(slot: slot, of: target)
    default: return nil
    }
  }

  /// Reads `host:port`; an IPv6 address comes without brackets.
  private static func target(_ text: Substring, from address: Address) -> Address? {
    guard let colon = text.lastIndex(of: ":"),
      let port = UInt16(text[text.index(after: colon)...]), port > 0
    else { return nil }
    return Address.node(String(text[..<colon]), port: port, from: address)
  }
}

extension LockerConfiguration.Address {
  /// The address of a node as another node tells it; without a host, that is the one that was asked.
  ///
  /// Returns nil for what cannot be an address.
  static func node(_ host: String?, port: UInt16, from asked: Self) -> Self? {
    guard let host, !host.isEmpty, host != "?" else {
      guard case .tcp(let host, _) = asked.kind else { return nil }
      return .tcp(host: host, port: port)
    }
    return isHost(host) ? .tcp(host: host, port: port) : nil
  }
}
