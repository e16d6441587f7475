import AsyncRedisLock
import AsyncRedisLockTesting

/// The effects of the scripts, and their answers.
extension SimulatedRedis {
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

  func acquire(_ keys: [String], _ words: [String]) -> Answer {
    let (token, count) = (number(of: words[0]), Int(words[2]) ?? 0)
    let locks = numbers(ofKeys: keys.prefix(count))
    guard
      let first = server.acquire(
        locks, token, ttl: Int64(words[1]) ?? 0, numbers: Int(words[3]) ?? 1)
    else { return contended(locks, token) }
    confirm(words[0])
    return .array([.number(1), .text(String(first))])
  }

  func adopt(_ keys: [String], _ words: [String]) -> Answer {
    let (former, token, count) = (number(of: words[0]), number(of: words[1]), Int(words[3]) ?? 0)
    let locks = numbers(ofKeys: keys.prefix(count))
    let rest =
      locks.map { server.value($0) == former ? server.remaining($0) ?? -1 : -1 }.min() ?? -1
    guard
      let first = server.adopt(
        locks, from: former, token, ttl: Int64(words[2]) ?? 0, numbers: Int(words[4]) ?? 1)
    else { return contended(locks, token) }
    confirm(words[1])
    return .array([.number(1), .text(String(first)), .number(rest)])
  }

  func poll(_ keys: [String], _ words: [String]) -> Answer {
    let answer = server.poll(
      locks(keys), number(of: words[1]), ttl: Int64(words[2]) ?? 0, lapse: Int64(words[3]) ?? 0,
      numbers: Int(words[4]) ?? 1, seen: UInt64(words[5]) ?? 0, raises: words[6] == "1",
      reservation: words.count > 7 ? Int64(words[7]) : nil)
    switch answer {
    case .taken(let first, let wasGranted):
      confirm(words[1])
      return .array([.number(wasGranted ? 2 : 1), .text(String(first))])
    case .wait(let counter, let holder, let remaining, let isSilent, let isHeard):
      return .array([
        .number(0), .text(String(counter)), name(holder), .number(remaining ?? -1),
        .number(isSilent ? 1 : 0), .number(isHeard ? 1 : 0),
      ])
    }
  }

  func refresh(_ keys: [String], _ words: [String]) -> Answer {
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

  func extend(_ keys: [String], _ words: [String]) -> Answer {
    var (answer, first): ([Answer], Int) = ([], 0)
    let numbers = words.count % 3 == 1 ? Int(words[words.count - 1]) ?? 0 : 0
    for index in stride(from: 0, to: words.count - 2, by: 3) {
      let count = Int(words[index + 2]) ?? 0
      let ttl = words[index + 1].split(separator: " ").first.flatMap { Int64($0) } ?? 0
      let extended = server.extend(
        self.numbers(ofKeys: keys[first..<first + count]), self.number(of: words[index]), ttl: ttl,
        numbers: numbers)
      switch extended {
      case .ours(let number):
        confirm(words[index])
        answer.append(.number(1))
        if let number { answer.append(.text(String(number))) }
      case .deleted: answer.append(.number(0))
      case .taken(let other): answer.append(name(other))
      }
      first += count
    }
    return .array(answer)
  }

  /// Nil means that the answer is only the number of the question.
  func release(_ keys: [String], _ words: [String]) -> Answer? {
    if keys.count == 4, words.count == 2,
      server.releaseAlone(number(ofKey: keys[0]), number(of: words[1]))
    {
      return nil
    }
    let released = server.release(locks(keys), number(of: words[1]), leaves: words.count > 2)
    return answer(released)
  }

  private func answer(_ released: SimulatedServer.Released) -> Answer {
    .array(
      [.number(Int64(released.outcome)), .number(Int64(released.handed))]
        + (released.other.map { [name($0)] } ?? []))
  }

  func releaseGroup(_ keys: [String], _ words: [String]) -> Answer {
    let left = words.indices.filter { index in
      !server.releaseAlone(number(ofKey: keys[2 * index]), number(of: words[index]))
    }
    return .array(left.map { .number(Int64($0 + 1)) })
  }

  func keep(_ keys: [String], _ words: [String]) -> Answer {
    answer(
      server.keep(numbers(ofKeys: keys), number(of: words[0]), for: Int64(words[1]) ?? 0))
  }

  func raise(_ keys: [String], _ words: [String]) -> Answer {
    let keys = words[1].isEmpty ? [] : keys
    let number = server.raise(
      above: UInt64(words[0]) ?? 0, numbers(ofKeys: keys.dropFirst()), number(of: words[1]))
    return number.map { .text(String($0)) } ?? .null
  }
}
