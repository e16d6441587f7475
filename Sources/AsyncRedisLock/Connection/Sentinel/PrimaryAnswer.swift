/// What a sentinel says about the primary.
struct PrimaryAnswer: Sendable, Equatable {
  typealias Address = LockerConfiguration.Address

  let address: Address
  /// The number of the failover that has made it the primary; zero if the sentinel does not say.
  ///
  /// Sentinels give every failover a number above all earlier ones. A smaller number is older news.
  var epoch: UInt64 = 0

  /// The questions for a primary: for the number first, since it must not be newer than the address.
  static func questions(_ primary: String) -> [Command] {
    [
      Command("SENTINEL", "MASTER", primary),
      Command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", primary),
    ]
  }

  /// The channels on which sentinels tell of a change.
  ///
  /// The sentinel that leads a failover names the new primary when that is promoted. It sends `+switch-master` only
  /// when all replicas follow, which may be seconds later.
  static let channels = ["+switch-master", "+promoted-slave"]

  /// Reads the answers to ``questions(_:)``; nil if the sentinel does not know the primary.
  ///
  /// - Throws: `protocolViolation` if they are no answers to that, `unreachable` if the address is an error.
  static func read(_ replies: some Collection<Reply>) throws(TransportError) -> Self? {
    let reply = replies.dropFirst().first
    switch reply {
    case .null: return nil
    case .array(let fields) where fields.count == 2:
      if case .string(let host) = fields[0], case .string(let port) = fields[1],
        let address = address(host, port)
      {
        return Self(address: address, epoch: replies.first.flatMap(epoch) ?? 0)
      }
    case .error(let error) where error.message.contains("unknown command"):
      throw .unreachable("it is not a sentinel (\(error.message))")
    case .error(let error):
      throw error.remedy == .fail ? .refused(error) : .unreachable(error.message)
    default: break
    }
    throw .protocolViolation("no address of a primary")
  }

  /// No number of a failover is larger; one that a sentinel makes up must leave room for later ones.
  static let mostEpoch = UInt64(Int64.max)

  /// Reads the number of the last failover out of a description of the primary.
  private static func epoch(in description: Reply) -> UInt64? {
    guard case .array(let fields) = description,
      let name = fields.firstIndex(of: .string("config-epoch")), name % 2 == 0,
      case .string(let value)? = fields[(name + 1)...].first
    else { return nil }
    return UInt64(value).map { min($0, mostEpoch) }
  }

  /// Reads a message on one of ``channels``; nil if it is of another primary.
  ///
  /// One has the form *name, old host, old port, new host, new port*, the other *kind, name of the replica, new host,
  /// new port, `@`, name, old host, old port*.
  static func read(message: String, about primary: String) -> Address? {
    let words = message.split(separator: " ", omittingEmptySubsequences: false)
    let (name, new): (Int, Int)
    switch words.count {
    case 5: (name, new) = (0, 3)
    case 8 where words[4] == "@": (name, new) = (5, 2)
    default: return nil
    }
    guard words[name].utf8.elementsEqual(primary.utf8) else { return nil }
    return address(String(words[new]), String(words[new + 1]))
  }

  /// No name of a host is longer (RFC 1035), and errors show it.
  private static let longestHost = 255

  private static func address(_ host: String, _ port: String) -> Address? {
    guard host.utf8.count <= longestHost, let number = Int(digits: port.utf8),
      let port = UInt16(exactly: number)
    else { return nil }
    let address = Address.tcp(host: host, port: port)
    guard (try? address.validate(.unreachable)) != nil else { return nil }
    return address
  }
}
