internal import Synchronization

/// Extensions that are requested in one command, without those whose lease has ended by the time it is sent.
final class ExtendRequest: CommandEncoder {
  private let extensions: [Extension]
  private let numbers: Int
  private let fence: String
  /// Which extensions the last command asked for.
  private let isAsked: Locked<[Bool]>

  init(_ extensions: [Extension], numbers: Int, names: ServerKeys) {
    self.extensions = extensions
    self.numbers = numbers
    fence = names.fence
    isAsked = Locked([])
  }

  var commandCount: Int { 1 }

  var runsScript: Bool { true }

  /// Encodes the command from the leases themselves, unless no extension is wanted any more.
  func encode(into buffer: inout CommandBuffer, question: UInt32, bySource: Bool) -> Bool {
    // The longest durations are read only now: a longer extension may have been sent since.
    let terms = extensions.map(\.terms)
    isAsked.withLock { $0 = terms.map(\.isWanted) }
    // By place, since an element would be copied.
    let wanted = extensions.indices.lazy.filter { terms[$0].isWanted }
    let (count, keyCount) = wanted.reduce(into: (0, 0)) { sums, place in
      sums.0 += 1
      sums.1 += extensions[place].claim.keys.count
    }
    guard count > 0 else { return false }
    let drawn = numbers > 0 ? 1 : 0
    buffer.beginCommand(words: 3 + keyCount + 3 * count + 2 * drawn + 1)
    Script.extend.append(to: &buffer, bySource: bySource, keyCount: keyCount + drawn)
    for place in wanted { for key in extensions[place].claim.keys { buffer.append(key) } }
    if drawn > 0 { buffer.append(fence) }
    for place in wanted {
      let claim = extensions[place].claim
      buffer.append(claim.token)
      let milliseconds = extensions[place].ttl.wholeMilliseconds
      if let longest = terms[place].longest {
        buffer.append("\(milliseconds) \(longest.wholeMilliseconds)")
      } else {
        buffer.append(milliseconds)
      }
      buffer.append(Int64(claim.keys.count))
    }
    if drawn > 0 { buffer.append(Int64(numbers)) }
    buffer.append(Int64(question))
    return true
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
        if fences.accept(some, from: answer.source) { drawn = some }
      }
      return .success(
        Extended(sentAt: answer.sentAt, outcomes: outcomes, numbers: drawn, remaining: remaining))
    case .error(let error): return .failure(StoreFailure(error))
    case let reply: return .failure(.unexpected(reply))
    }
  }
}
