package run

import (
	"encoding/json"
	"strings"
)

// Error is a task's failure as the worker protocol carries it: one of
// BUILT_IN_ERROR, CUSTOM_ERROR, STRING_ERROR and INTERNAL_ERROR.
type Error struct {
	Type       string          `json:"type"`
	Name       string          `json:"name,omitempty"`
	Message    string          `json:"message,omitempty"`
	StackTrace string          `json:"stackTrace,omitempty"`
	Raw        string          `json:"raw,omitempty"`
	Code       Code            `json:"code,omitempty"`
	Causes     json.RawMessage `json:"causes,omitempty"`
}

// The types of errors.
const (
	BuiltIn     = "BUILT_IN_ERROR"
	Custom      = "CUSTOM_ERROR"
	StringError = "STRING_ERROR"
	Internal    = "INTERNAL_ERROR"
)

// MarshalJSON writes exactly the keys that the SDK's schema of each type demands,
// even when they are empty.
func (e Error) MarshalJSON() ([]byte, error) {
	type causes = json.RawMessage
	switch e.Type {
	case BuiltIn:
		return json.Marshal(struct {
			Type       string `json:"type"`
			Name       string `json:"name"`
			Message    string `json:"message"`
			StackTrace string `json:"stackTrace"`
			Causes     causes `json:"causes,omitempty"`
		}{e.Type, e.Name, e.Message, e.StackTrace, e.Causes})
	case Internal:
		return json.Marshal(struct {
			Type       string `json:"type"`
			Code       Code   `json:"code"`
			Message    string `json:"message,omitempty"`
			StackTrace string `json:"stackTrace,omitempty"`
		}{e.Type, e.Code, e.Message, e.StackTrace})
	default:
		return json.Marshal(struct {
			Type string `json:"type"`
			Raw  string `json:"raw"`
		}{e.Type, e.Raw})
	}
}

// Code is the code of an INTERNAL_ERROR.
type Code string

// The codes that rules here mention; others pass through as text.
const (
	CodeCancelled        Code = "TASK_RUN_CANCELLED"
	CodeMaxDuration      Code = "MAX_DURATION_EXCEEDED"
	CodeStalled          Code = "TASK_RUN_STALLED_EXECUTING"
	CodeStalledWaiting   Code = "TASK_RUN_STALLED_EXECUTING_WITH_WAITPOINTS"
	CodeTooManyNacks     Code = "TASK_RUN_DEQUEUED_MAX_RETRIES"
	CodeCrashed          Code = "TASK_RUN_CRASHED"
	CodeOOM              Code = "TASK_PROCESS_OOM_KILLED"
	CodeMaybeOOM         Code = "TASK_PROCESS_MAYBE_OOM_KILLED"
	CodeNonZeroExit      Code = "TASK_PROCESS_EXITED_WITH_NON_ZERO_CODE"
	CodeSigterm          Code = "TASK_PROCESS_SIGTERM"
	CodeSigsegv          Code = "TASK_PROCESS_SIGSEGV"
	CodeUncaught         Code = "TASK_RUN_UNCAUGHT_EXCEPTION"
	CodeMiddleware       Code = "TASK_MIDDLEWARE_ERROR"
	CodeItemUntriggered  Code = "BATCH_ITEM_COULD_NOT_TRIGGER"
	CodePayloadTooLarge  Code = "PAYLOAD_TOO_LARGE"
	CodeRecursiveWait    Code = "RECURSIVE_WAIT_DEADLOCK"
	CodeInput            Code = "TASK_INPUT_ERROR"
	CodeOutput           Code = "TASK_OUTPUT_ERROR"
	CodeDiskSpace        Code = "DISK_SPACE_EXCEEDED"
	CodeOutdatedSDK      Code = "OUTDATED_SDK_VERSION"
	CodeHandleError      Code = "HANDLE_ERROR_ERROR"
	CodeNoDeployment     Code = "EXTERNAL_DEPLOYMENT_NOT_FOUND"
	codeNoExecutor       Code = "COULD_NOT_FIND_EXECUTOR"
	codeNoTask           Code = "COULD_NOT_FIND_TASK"
	codeNoImport         Code = "COULD_NOT_IMPORT_TASK"
	codeConfigured       Code = "CONFIGURED_INCORRECTLY"
	codeAlreadyRunning   Code = "TASK_ALREADY_RUNNING"
	codeSigkillTimeout   Code = "TASK_PROCESS_SIGKILL_TIMEOUT"
	codeHeartbeatTimeout Code = "TASK_RUN_HEARTBEAT_TIMEOUT"
	codeConcurrentWait   Code = "TASK_DID_CONCURRENT_WAIT"
	codeBadDequeue       Code = "TASK_DEQUEUED_INVALID_STATE"
	codeNoQueue          Code = "TASK_DEQUEUED_QUEUE_NOT_FOUND"
	codeNoSnapshot       Code = "TASK_HAS_N0_EXECUTION_SNAPSHOT" // upstream spells it with a zero
	codeUnspecified      Code = "UNSPECIFIED_ERROR"
)

// finalCodes never lead to another attempt, however many are left.
var finalCodes = setOf(codeNoExecutor, codeNoTask, codeNoImport, codeConfigured, codeAlreadyRunning, codeSigkillTimeout,
	CodeOOM, CodeMaybeOOM, CodeCancelled, CodeMaxDuration, CodeDiskSpace, CodeOutdatedSDK, codeHeartbeatTimeout,
	codeConcurrentWait, CodeRecursiveWait, codeBadDequeue, codeNoQueue, codeNoSnapshot, CodeTooManyNacks,
	CodeItemUntriggered, CodePayloadTooLarge, codeUnspecified)

// silentCodes mean that the process died before the SDK could say whether to
// retry, so the server decides from the task's own settings.
var silentCodes = setOf(CodeNonZeroExit, CodeSigterm, CodeSigsegv, CodeUncaught, CodeMiddleware, CodeStalled, CodeStalledWaiting)

func setOf(codes ...Code) map[Code]bool {
	m := make(map[Code]bool, len(codes))
	for _, c := range codes {
		m[c] = true
	}
	return m
}

// internalError makes an error of the engine's own.
func internalError(code Code, msg string) *Error {
	return &Error{Type: Internal, Code: code, Message: msg}
}

// Canceled is the error a cancelled run carries.
func Canceled(reason string) *Error { return &Error{Type: StringError, Raw: reason} }

// finalStatus says how a run ends that dies of e.
func finalStatus(e *Error, dev bool) Status {
	if e.Type != Internal {
		return StatusFailed
	}
	switch e.Code {
	case CodeRecursiveWait, CodeInput, CodeOutput, CodeMiddleware, CodeUncaught:
		return StatusFailed
	case CodeCancelled:
		return StatusCanceled
	case CodeMaxDuration:
		return StatusTimedOut
	case CodeStalled, CodeStalledWaiting:
		if dev { // the developer stopped the worker
			return StatusCanceled
		}
		return StatusFailed
	case CodeOOM, CodeMaybeOOM, CodeSigsegv, CodeDiskSpace, CodeOutdatedSDK, CodeHandleError, CodeCrashed, CodeNonZeroExit:
		return StatusCrashed
	}
	return StatusSystemFailure
}

// outOfMemory recognises a process killed for its memory, whichever way it was reported.
func (e *Error) outOfMemory() bool {
	switch {
	case e.Type == Internal && (e.Code == CodeOOM || e.Code == CodeMaybeOOM):
		return true
	case e.Type == Internal && e.Code == CodeNonZeroExit:
		killed := strings.Contains(e.Message, "SIGKILL") && strings.Contains(e.Message, "-1")
		heap := strings.Contains(e.Message, "SIGABRT") && strings.Contains(e.StackTrace, "heap limit")
		return killed || heap
	case e.Type == BuiltIn && e.Name == "OutOfMemoryError":
		return true
	}
	return e.Type == BuiltIn && strings.Contains(e.Message, "ffmpeg was killed with signal SIGKILL")
}

// Bounds of a stored error, as upstream cuts them.
const (
	//limit:runs Lines of a stack | lines | those in the middle are left out
	maxFrames   = 50
	firstFrames = 5
	//limit:runs A line of a stack | bytes | it is cut
	maxFrameLen = 1024
	//limit:runs The message of an error | bytes | it is cut
	maxErrorText = 16 << 10
	//limit:runs The name of an error | bytes | it is cut
	maxErrorName = 1024
)

// Sanitize returns e in the form it is stored: without NUL bytes (Postgres
// refuses them), with bounded texts and at most 50 stack frames.
func (e *Error) Sanitize() *Error {
	c := *e
	c.Name = clean(e.Name, maxErrorName)
	c.Message = clean(e.Message, maxErrorText)
	c.Raw = clean(e.Raw, maxErrorText)
	c.StackTrace = cutStack(clean(e.StackTrace, maxFrames*maxFrameLen*2))
	if strings.Contains(string(e.Causes), `\u0000`) || len(e.Causes) > maxErrorText {
		c.Causes = nil
	}
	return &c
}

func clean(s string, limit int) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "\uFFFD")
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "")
	}
	return s
}

func cutStack(s string) string {
	lines := strings.Split(s, "\n")
	if len(lines) > maxFrames {
		lines = append(lines[:firstFrames:firstFrames], lines[len(lines)-(maxFrames-firstFrames):]...)
	}
	for i, l := range lines {
		lines[i] = clean(l, maxFrameLen)
	}
	return strings.Join(lines, "\n")
}
