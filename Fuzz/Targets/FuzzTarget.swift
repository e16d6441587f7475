import Foundation

/// The fuzz targets, and the properties that every input must satisfy.
enum FuzzTarget: String, CaseIterable {
  case duration, error, grant, inbox, name, percent, reply, tls, token, url

  /// The target named by the environment.
  static let current: Self = {
    let name = ProcessInfo.processInfo.environment["FUZZ_TARGET"] ?? ""
    guard let target = Self(rawValue: name) else {
      print("FUZZ_TARGET must be one of \(allCases.map(\.rawValue).joined(separator: ", "))")
      exit(64)
    }
    return target
  }()

  func run(_ input: inout FuzzInput) {
    switch self {
    case .duration: DurationFuzzer.run(&input)
    case .error: ErrorFuzzer.run(&input)
    case .grant: GrantFuzzer.run(&input)
    case .inbox: InboxFuzzer.run(&input)
    case .name: NameFuzzer.run(&input)
    case .percent: PercentFuzzer.run(&input)
    case .reply: ReplyFuzzer.run(&input)
    case .tls: TLSFuzzer.run(&input)
    case .token: TokenFuzzer.run(&input)
    case .url: URLFuzzer.run(&input)
    }
  }
}

/// Called by libFuzzer with each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  var input = unsafe FuzzInput(Array(UnsafeBufferPointer(start: start, count: count)))
  FuzzTarget.current.run(&input)
  return 0
}

/// Unless the property holds, ends the process, which makes the input a finding.
func verify(
  _ holds: Bool, _ property: @autoclosure () -> String, file: StaticString = #file,
  line: UInt = #line
) {
  guard !holds else { return }
  fatalError("violated: \(property())", file: file, line: line)
}
