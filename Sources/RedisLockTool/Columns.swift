#if CommandLineTool
  extension Character {
    /// What Unicode's Standard Annex 11 calls wide or fullwidth, apart from emoji.
    private static let wide: [ClosedRange<UInt32>] = [
      0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xA960...0xA97C, 0xAC00...0xD7A3,
      0xF900...0xFAFF, 0xFE10...0xFE19, 0xFE30...0xFE6F, 0xFF01...0xFF60, 0xFFE0...0xFFE6,
      0x16FE0...0x18DFF, 0x1AFF0...0x1B2FF, 0x20000...0x3FFFD,
    ]

    /// How many columns of a terminal it takes: none, one or two.
    var columns: Int {
      guard let first = unicodeScalars.first else { return 0 }
      switch first.properties.generalCategory {
      case .nonspacingMark, .enclosingMark, .format: return 0
      default:
        let isEmoji =
          first.properties.isEmojiPresentation || unicodeScalars.contains("\u{FE0F}")
        return isEmoji || Self.wide.contains { $0.contains(first.value) } ? 2 : 1
      }
    }
  }

  extension String {
    /// How many columns of a terminal it takes.
    var columns: Int { reduce(0) { $0 + $1.columns } }

    /// The text, or as much of it as fits into so many columns, with an ellipsis.
    func cut(toColumns most: Int) -> String {
      guard columns > most else { return self }
      var left = most - 1
      let head = prefix { character in
        left -= character.columns
        return left >= 0
      }
      return head + "…"
    }
  }
#endif
