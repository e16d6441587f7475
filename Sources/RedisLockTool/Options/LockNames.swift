#if CommandLineTool
  import ArgumentParser
  import AsyncRedisLock

  /// The names of the locks on the server, for the completion of a command line.
  enum LockNames {
    /// Completes a shell's request; offers nothing if the server does not answer soon.
    static let completion = CompletionKind.custom { words, index, prefix in
      var (head, rest) = ("", prefix)
      if CompletionShell.requesting == .bash {
        head = Self.head(of: words, at: index)
        if prefix.isColons { rest = "" }
      }
      let names = await names(
        with: head + rest, options: words.prefix(max(index, 0)).dropFirst().map { $0 })
      return names.map { name in
        // zsh takes the text behind a colon for a description.
        CompletionShell.requesting == .zsh
          ? name.replacing(":", with: "\\:") : String(name.dropFirst(head.count))
      }
    }

    /// How long a user at a prompt has to wait at most.
    private static let patience = Duration.seconds(1)
    /// More than a user reads.
    private static let most = 200

    /// The part before a word at an index that belongs to it: bash ends a word at a colon, and takes colons for
    /// separate words.
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

    /// Whether a shell and this program take a name literally.
    ///
    /// A shell may expand other names and run commands in them, and a name that looks like an option would be one.
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

    /// The server's place, as far as an unfinished command line tells it.
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
