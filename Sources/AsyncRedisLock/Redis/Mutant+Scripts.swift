#if MUTANTS
  extension Mutant {
    /// What the active mutant makes of a script.
    static func mutate(_ source: String) -> String {
      allCases.first(where: \.isActive)?.change.map { old, new in
        source.split(separator: old, omittingEmptySubsequences: false).joined(separator: new)
      } ?? source
    }

    /// What is replaced in the scripts, and what it is replaced by.
    private var change: (old: String, new: String)? {
      switch self {
      case .plainDelete: ("if value == token then", "if value then")
      case .extensionCreates:
        (
          "if holder ~= token then",
          "if not holder then redis.call('SET', KEYS[k], token, 'PX', ttl) elseif holder ~= token then"
        )
      case .extensionShortens: ("if left < ttl then", "if true then")
      default: nil
      }
    }
  }
#endif
