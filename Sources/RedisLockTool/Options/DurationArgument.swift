#if CommandLineTool
  import ArgumentParser

  /// A duration as people write it: `500ms`, `30s`, `5m`, `2h`, `7d`; a bare number is in seconds, as for flock(1).
  struct DurationArgument: ExpressibleByArgument {
    let duration: Duration

    init(_ duration: Duration) { self.duration = duration }

    init?(argument: String) {
      let digits = argument.prefix { $0.isASCII && $0.isNumber || $0 == "." }
      guard let number = Double(digits), number < 1e9 else { return nil }
      switch argument.dropFirst(digits.count) {
      case "ms": duration = .milliseconds(number)
      case "s", "": duration = .seconds(number)
      case "m": duration = .seconds(number * 60)
      case "h": duration = .seconds(number * 3600)
      case "d": duration = .seconds(number * 86_400)
      default: return nil
      }
    }

    var defaultValueDescription: String { duration.brief }
  }

  extension Duration {
    /// The duration as people write it, in the largest unit that leaves no fraction.
    var brief: String {
      let milliseconds = components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
      for (unit, size) in [
        ("d", Int64(86_400_000)), ("h", 3_600_000), ("m", 60_000), ("s", 1000),
      ]
      where milliseconds >= size && milliseconds.isMultiple(of: size) {
        return "\(milliseconds / size)\(unit)"
      }
      return "\(milliseconds)ms"
    }
  }
#endif
