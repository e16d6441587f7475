/// The address of a primary in the words of a sentinel.
enum PrimaryAnswer {
  /// The question for the address of a primary.
  static func question(_ primary: String) -> Command {
    Command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", primary)
  }

  /// The channel on which sentinels tell of a change.
  static let channel = "+switch-master"

  /// Reads the answer to ``question(_:)``; nil if the sentinel does not know the primary.
  ///
  /// - Throws: `protocolViolation` if it is not an answer to that, `unreachable` if it is an error.
  static func read(_ reply: Reply?) throws(TransportError) -> LockerConfiguration.Address? {
    switch reply {
    case .null: return nil
    case .array(let fields) where fields.count == 2:
      if case .string(let host) = fields[0], case .string(let port) = fields[1],
        let address = address(host, port)
      {
        return address
      }
    case .error(let error) where error.message.contains("unknown command"):
      throw .unreachable("it is not a sentinel (\(error.message))")
    case .error(let error):
      throw error.remedy == .fail ? .refused(error) : .unreachable(error.message)
    default: break
    }
    throw .protocolViolation("no address of a primary")
  }

  /// Reads a message on ``channel``: name, old host, old port, new host, new port; nil if it is of another primary.
  static func read(
    message: String, about primary: String
  ) -> LockerConfiguration.Address? {
    let words = message.split(separator: " ", omittingEmptySubsequences: false)
    guard words.count == 5, words[0].utf8.elementsEqual(primary.utf8) else { return nil }
    return address(String(words[3]), String(words[4]))
  }

  private static func address(_ host: String, _ port: String) -> LockerConfiguration.Address? {
    guard let number = Int(digits: port.utf8), let port = UInt16(exactly: number) else {
      return nil
    }
    let address = LockerConfiguration.Address.tcp(host: host, port: port)
    guard (try? address.validate(.unreachable)) != nil else { return nil }
    return address
  }
}
