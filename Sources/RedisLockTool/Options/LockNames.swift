#if CommandLineTool
  import ArgumentParser
  import AsyncRedisLock

  /// The names of the locks on the server, for the completion of a command line.
  enum LockNames {
    /// Completes what a shell asks for; nothing when the server does not answer soon.
    static let completion = CompletionKind.custom { words, index, prefix in
      var (head, rest) = ("", prefix)
      if CompletionShell.requesting == .bash {
        head = Self.head(of: words, at: index)
        if prefix.isColons { rest = "" }
      }
      let names = await names(
        with: head + rest, options: words.prefix(max(index, 0)).dropFirst().map { $0 })
      return names.map { name in
        // zsh takes what follows a colon for a description.
        CompletionShell.requesting == .zsh
          ? name.replacing(":", with: "\\:") : String(name.dropFirst(head.count))
      }
    }

    /// How long a person at a prompt is kept waiting.
    private static let patience = Duration.seconds(1)
    /// More than a person reads.
    private static let most = 200

    /// What comes before a word at an index and belongs to it: bash ends a word at a colon, and takes colons for a word
    /// of their own.
    static func head(of words: [String], at index: Int) -> String {
      guard words.indices.contains(index) else { return "" }
      var position = words[index].isColons ? index : index - 1
      var head = ""
      // The first two are the program and the subcommand.
      while position > 1, words[position].isColons {
        head = words[position] + head
        position -= 1
        guard position > 1, !words[position].isColons else { continue }
        head = words[position] + head
        position -= 1
      }
      return head
    }

    /// Whether a shell and this program take a name for what it is: a shell may expand others and run what they ask
    /// for, and one that looks like an option would be one.
    static func isPlain(_ name: String) -> Bool {
      !name.hasPrefix("-")
        && name.unicodeScalars.allSatisfy { scalar in
          scalar.properties.isAlphabetic || scalar.properties.numericType != nil
            || "._:/@%+=,-".unicodeScalars.contains(scalar)
        }
    }

    /// The names that begin with a prefix, from the server that the options of a command line name.
    private static func names(with prefix: String, options: [String]) async -> [String] {
      guard let connection = connection(for: options) else { return [] }
      let search = Task {
        var names: [String] = []
        let locker = try await connection.connect()
        try? await KeyWalk(pattern: KeyWalk.pattern(forPrefix: prefix), locker: locker).run {
          keys in
          names += keys.filter { LockHolder(value: $0.value).host != nil }.compactMap(\.name)
            .filter(isPlain)
          if names.count >= most { throw CancellationError() }
        }
        return names.sorted()
      }
      let alarm = Task {
        try await Task.sleep(for: patience)
        search.cancel()
      }
      defer { alarm.cancel() }
      return (try? await search.value) ?? []
    }

    /// Where the server is, as far as it can be told from an unfinished command line.
    private static func connection(for words: [String]) -> ConnectionOptions? {
      var options: [String] = []
      for (number, word) in words.enumerated() {
        for name in ["--url", "--url-file"] {
          if word == name, number + 1 < words.count { options += [word, words[number + 1]] }
          if word.hasPrefix(name + "=") { options.append(word) }
        }
      }
      return try? ConnectionOptions.parse(options)
    }
  }

  extension String {
    fileprivate var isColons: Bool { !isEmpty && allSatisfy { $0 == ":" } }
  }
#endif
