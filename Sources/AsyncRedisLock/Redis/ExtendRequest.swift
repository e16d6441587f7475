internal import Synchronization

/// Extensions that are requested in one command, without those whose lease has ended by the time it is sent.
final class ExtendRequest: Sendable {
  private let extensions: [Extension]
  private let numbers: Int
  private let names: ServerKeys
  /// The command if all extensions are wanted and nothing is to be cut, which is the rule.
  private let whole: Command
  /// Which extensions the last command asked for.
  private let isAsked: Locked<[Bool]>

  init(_ extensions: [Extension], numbers: Int, names: ServerKeys) {
    self.extensions = extensions
    self.numbers = numbers
    self.names = names
    whole = Self.command(extensions.map { ($0, nil) }, numbers: numbers, names: names)
    isAsked = Locked([])
  }

  /// The command to send now; nil if no extension is wanted any more.
  func commandToSend() -> Command? {
    // The longest durations are read only now: a longer extension may have been sent since.
    let terms = extensions.map(\.terms)
    isAsked.withLock { $0 = terms.map(\.isWanted) }
    if terms.allSatisfy({ $0.isWanted && $0.longest == nil }) { return whole }
    let wanted = zip(extensions, terms).filter(\.1.isWanted).map { ($0, $1.longest) }
    return wanted.isEmpty ? nil : Self.command(wanted, numbers: numbers, names: names)
  }

  private static func command(
    _ extensions: [(Extension, longest: Duration?)], numbers: Int, names: ServerKeys
  ) -> Command {
    var (keys, arguments): ([String], [String]) = ([], [])
    keys.reserveCapacity(extensions.count + 1)
    arguments.reserveCapacity(extensions.count * 3 + 1)
    // Most leases have the same ttl.
    var (ttl, milliseconds) = (Duration.zero, "0")
    for (one, longest) in extensions {
      if one.ttl != ttl { (ttl, milliseconds) = (one.ttl, String(one.ttl.wholeMilliseconds)) }
      if one.claim.keys.count == 1 {
        keys.append(one.claim.keys[0])
      } else {
        keys += one.claim.keys
      }
      arguments.append(one.claim.token)
      arguments.append(
        longest.map { "\(milliseconds) \($0.wholeMilliseconds)" } ?? milliseconds)
      arguments.append(String(one.claim.keys.count))
    }
    if numbers > 0 {
      keys.append(names.fence)
      arguments.append(String(numbers))
    }
    return Script.extend.command(keys: keys, arguments: arguments)
  }

  /// Reads the outcome of the extensions.
  func read(_ answer: Request.Answer, fences: FenceCounter) -> Result<Extended, StoreFailure> {
    var outcomes: [Extended.Outcome] = isAsked.withLock { $0.map { $0 ? .ours : .notAsked } }
    let count = outcomes.count { $0 == .ours }
    guard let reply = answer.replies.first else {
      return .success(Extended(sentAt: answer.sentAt, outcomes: outcomes, numbers: 0..<0))
    }
    switch reply {
    case .array(let fields) where fields.count == count || fields.count == count + 1:
      var remaining: [Int: Duration] = [:]
      for (index, field) in zip(outcomes.indices.filter { outcomes[$0] == .ours }, fields) {
        switch field {
        case .integer(0): outcomes[index] = .deleted
        case .integer(1): break
        case .integer(let code) where (2...KeyState.longestTTL).contains(code):
          remaining[index] = .milliseconds(code)
        case .string(let holder): outcomes[index] = .taken(by: holder)
        default: return .failure(.unexpected(field))
        }
      }
      var drawn: Range<UInt64> = 0..<0
      if fields.count > count {
        guard numbers > 0, let some = fields[count].fencingTokens(numbers) else {
          return .failure(.unexpected(fields[count]))
        }
        if fences.accept(some) { drawn = some }
      }
      return .success(
        Extended(sentAt: answer.sentAt, outcomes: outcomes, numbers: drawn, remaining: remaining))
    case .error(let error): return .failure(StoreFailure(error))
    case let reply: return .failure(.unexpected(reply))
    }
  }
}
