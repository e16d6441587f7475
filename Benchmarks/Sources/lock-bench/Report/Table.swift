/// A table in Markdown, padded so that its source is readable.
struct Table {
  private let head: [String]
  private var rows: [[String]] = []
  /// How many columns hold words, counted from the left and from the right.
  private let words: (left: Int, right: Int)

  init(_ head: [String], words: (left: Int, right: Int)) {
    self.head = head
    self.words = words
  }

  mutating func add(_ row: [String]) { rows.append(row) }

  var text: String {
    let widths = head.indices.map { column in
      ([head] + rows).map { $0[column].count }.max() ?? 0
    }
    let rule = head.indices.map { column in
      let dashes = String(repeating: "-", count: max(2, widths[column] - 1))
      return isWord(column) ? ":" + dashes : dashes + ":"
    }
    return ([head, rule] + rows).map { line($0, widths) }.joined(separator: "\n")
  }

  private func line(_ cells: [String], _ widths: [Int]) -> String {
    let padded = cells.enumerated().map { column, cell in
      let space = String(repeating: " ", count: max(0, widths[column] - cell.count))
      return isWord(column) ? cell + space : space + cell
    }
    return "| " + padded.joined(separator: " | ") + " |"
  }

  private func isWord(_ column: Int) -> Bool {
    column < words.left || column >= head.count - words.right
  }
}
