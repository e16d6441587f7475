@testable import AsyncRedisLock

/// Durations: every accepted duration is safe to calculate with, and no lease is valid beyond its ttl.
enum DurationFuzzer {
  private static let tenYears = Duration.seconds(315_360_000)

  static func run(_ input: inout FuzzInput) {
    text(input.text)
    options(&input)
    lease(&input)
  }

  private static func text(_ text: String) {
    guard let duration = Duration(text: text) else { return }
    verify(duration >= .zero, "\(text) is \(duration)")
    // Ten digits are read at most.
    let isShort = duration < .seconds(86_400)
    verify(!isShort || Duration(text: duration.text) != nil, "\(duration.text) is not read again")
    let units: [(String, Double)] = [("ms", 0.001), ("m", 60), ("h", 3600), ("d", 86_400)]
    let unit = units.first { text.hasSuffix($0.0) }?.1 ?? 1
    guard let number = Double(text.prefix { "0123456789.".contains($0) }) else {
      return verify(false, "\(text) has no number")
    }
    let expected = number * unit
    verify(
      abs(duration / .seconds(1) - expected) <= expected / 1e12 + unit / 1e9,
      "\(text) is \(duration)")
  }

  private static func duration(_ input: inout FuzzInput) -> Duration {
    switch input.byte() % 4 {
    case 0: .milliseconds(Int64(input.byte()) | Int64(input.byte()) << 8)
    case 1: .nanoseconds(input.signedNumber())
    case 2: .seconds(input.signedNumber())
    default:
      Duration(
        secondsComponent: input.signedNumber() % 1_000_000_000,
        attosecondsComponent: input.signedNumber() % 1_000_000_000_000_000_000)
    }
  }

  private static func options(_ input: inout FuzzInput) {
    let options = LockOptions(
      retry: duration(&input), timeout: input.byte() & 1 == 0 ? nil : duration(&input),
      ttl: duration(&input), extend: input.byte() & 1 == 0 ? nil : duration(&input))
    do throws(LockError) {
      try options.validate()
    } catch {
      verify(error.code == .invalidOptions && error.message.utf8.count < 512, "\(error)")
      return
    }
    let all = [options.retry, options.timeout, options.ttl, options.extend].compactMap { $0 }
    for one in all {
      verify((Duration.milliseconds(1)...tenYears).contains(one), "\(options)")
      let lost = one - .milliseconds(one.wholeMilliseconds)
      verify(lost >= .zero && lost < .milliseconds(1), "\(one) has \(one.wholeMilliseconds) ms")
      let rest = one - .nanoseconds(one.wholeNanoseconds)
      verify(rest >= .zero && rest < .nanoseconds(1), "\(one) has \(one.wholeNanoseconds) ns")
      let later = Instant.now + one * 3
      verify((later - one * 3) + one * 3 == later, "\(one)")
    }
    verify(options.ttl >= .milliseconds(10), "\(options)")
    verify(options.extend.map { $0 < options.ttl } ?? true, "\(options)")
  }

  /// Drives a lease by the input, and compares it with a calculation of its own.
  private static func lease(_ input: inout FuzzInput) {
    var now = Instant.now
    let ttl = Duration.milliseconds(10 + Int(input.byte()) * 40)
    let extend = input.byte() & 1 == 0 ? nil : ttl / 3
    var state = LeaseState(ttl: ttl, extend: extend, sentAt: now)
    state.planExtensions(roundTrip: .milliseconds(1), share: 0.5)
    var confirmed = now + ttl
    var hasEnded = false
    while !input.isEmpty {
      let kind = input.byte()
      let sentAt = now
      now += .milliseconds(Int(input.byte()) * 4)
      let former = state.validUntil
      switch kind % 7 {
      case 0: if state.lossReason(at: now) == nil { state.release(at: now) }
      case 1: _ = state.lose(.deleted)
      case 2, 3:
        let longer = kind % 7 == 2 ? ttl : .milliseconds(10 + Int(input.byte()) * 100)
        state.willExtend(by: longer, deadline: now)
        if state.isHeld(at: now) { confirmed = max(confirmed, sentAt + longer) }
        _ = state.extended(by: longer, sentAt: sentAt, at: now)
      case 4:
        state.willExtend(by: ttl, deadline: now)
        if state.isHeld(at: now) { confirmed = max(confirmed, sentAt + ttl) }
        _ = state.concludeExtension(sentAt: sentAt, at: now, roundTrip: sentAt.duration(to: now))
      case 5: state.retryExtension(at: now)
      default: _ = state.tick(at: now, slack: .milliseconds(5))
      }
      verify(state.validUntil >= former, "a lease was shortened")
      verify(state.validUntil <= confirmed - .milliseconds(2), "a lease is too long")
      verify(state.keysLastUntil >= state.validUntil, "keys end before their lease")
      let isHeld = state.isHeld(at: now)
      verify(!(isHeld && now >= confirmed), "held beyond its ttl")
      verify(!(isHeld && hasEnded), "an ended lease comes back")
      verify(isHeld || state.lossReason(at: now) != nil || state.hasEnded, "neither held nor lost")
      verify(!isHeld || state.lossReason(at: now) == nil, "held and lost")
      hasEnded = !isHeld
    }
  }
}
