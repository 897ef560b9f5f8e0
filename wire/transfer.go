package wire

import "encoding/binary"

// Fixed parts of the messages about files, bytes.
const (
	fileInfoFixed    = 28
	fileInfoAckFixed = 16
	doneFixed        = 8
	statusFixed      = 8
	completeFixed    = 8
	freeSpaceLen     = 12
)

// ParseFileInfo reads FILEINFO. The header must be exactly as long as name and link
// need, and neither field longer than 300 bytes, else the error is [ErrHeaderLen]. A
// receiver answers every error but [ErrFunc] with ABORT
// "Rejecting FILEINFO: invalid message size".
func ParseFileInfo(v Version, msg []byte) (x FileInfo, err error) {
	hdr, body, err := splitIn(v, msg, FuncFileInfo, fileInfoFixed)
	if err != nil {
		return x, err
	}
	name, link := 4*int(hdr[8]), 4*int(hdr[9])
	if name > MaxNameLen || link > MaxNameLen || len(hdr) != fileInfoFixed+name+link {
		return x, ErrHeaderLen
	}
	x.FileID = binary.BigEndian.Uint16(hdr[2:])
	x.Type = FileType(hdr[4])
	x.Size = int64(binary.BigEndian.Uint16(hdr[10:]))<<32 | int64(binary.BigEndian.Uint32(hdr[12:]))
	x.MTime = int64(binary.BigEndian.Uint32(hdr[16:]))
	x.Time = parseStamp(hdr[20:])
	x.Name = untilNUL(hdr[fileInfoFixed : fileInfoFixed+name])
	x.Link = untilNUL(hdr[fileInfoFixed+name:])
	x.Hosts = UIDList(body)
	return x, nil
}

// Append appends the message. Name and Link have at most 300 bytes each.
func (x *FileInfo) Append(v Version, b []byte) []byte {
	v.must()
	if len(x.Name) > MaxNameLen || len(x.Link) > MaxNameLen {
		panic("wire: name or link longer than 300 bytes")
	}
	start := len(b)
	name, link := words(len(x.Name)), words(len(x.Link))
	b = append(b, byte(FuncFileInfo), fileInfoFixed/4+name+link)
	b = binary.BigEndian.AppendUint16(b, x.FileID)
	b = append(b, byte(x.Type), 0, 0, 0, name, link)
	b = binary.BigEndian.AppendUint16(b, uint16(x.Size>>32))
	b = binary.BigEndian.AppendUint32(b, uint32(x.Size))
	b = binary.BigEndian.AppendUint32(b, uint32(x.MTime))
	b = x.Time.append(b)
	b = pad(append(b, x.Name...), start)
	b = pad(append(b, x.Link...), start)
	return append(b, x.Hosts...)
}

// ParseFileInfoAck reads FILEINFO_ACK.
func ParseFileInfoAck(v Version, msg []byte) (x FileInfoAck, err error) {
	hdr, body, err := splitIn(v, msg, FuncFileInfoAck, fileInfoAckFixed)
	if err != nil {
		return x, err
	}
	return FileInfoAck{
		FileID:  binary.BigEndian.Uint16(hdr[2:]),
		Partial: hdr[4]&FileInfoAckPartial != 0,
		Time:    parseStamp(hdr[8:]),
		Clients: UIDList(body),
	}, nil
}

// Append appends the message.
func (x *FileInfoAck) Append(v Version, b []byte) []byte {
	v.must()
	b = append(b, byte(FuncFileInfoAck), fileInfoAckFixed/4)
	b = binary.BigEndian.AppendUint16(b, x.FileID)
	var flags byte
	if x.Partial {
		flags = FileInfoAckPartial
	}
	b = append(b, flags, 0, 0, 0)
	b = x.Time.append(b)
	return append(b, x.Clients...)
}

// ParseFileSeg reads FILESEG. It does not check section, block and the length of the
// data, which depend on the file.
func ParseFileSeg(msg []byte) (x FileSeg, err error) {
	hdr, body, err := split(msg, FuncFileSeg, FileSegLen)
	if err != nil {
		return x, err
	}
	x.FileID = binary.BigEndian.Uint16(hdr[2:])
	x.Section = binary.BigEndian.Uint16(hdr[4:])
	x.Block = binary.BigEndian.Uint16(hdr[6:])
	x.Data = body
	if len(hdr) > FileSegLen {
		ext, err := extension(hdr, FileSegLen, ExtTFMCCData, tfmccDataLen)
		if err != nil {
			return FileSeg{}, err
		}
		if ext != nil {
			x.HasCC = true
			x.CC = parseTFMCCData(ext)
		}
	}
	return x, nil
}

// Append appends the message.
func (x *FileSeg) Append(b []byte) []byte {
	n := FileSegLen
	if x.HasCC {
		n += tfmccDataLen
	}
	b = append(b, byte(FuncFileSeg), words(n))
	b = binary.BigEndian.AppendUint16(b, x.FileID)
	b = binary.BigEndian.AppendUint16(b, x.Section)
	b = binary.BigEndian.AppendUint16(b, x.Block)
	if x.HasCC {
		b = x.CC.append(b)
	}
	return append(b, x.Data...)
}

// ParseDone reads DONE.
func ParseDone(msg []byte) (x Done, err error) {
	hdr, body, err := split(msg, FuncDone, doneFixed)
	if err != nil {
		return x, err
	}
	return Done{
		FileID:  binary.BigEndian.Uint16(hdr[2:]),
		Section: binary.BigEndian.Uint16(hdr[4:]),
		Hosts:   UIDList(body),
	}, nil
}

// Append appends the message.
func (x *Done) Append(b []byte) []byte {
	b = append(b, byte(FuncDone), doneFixed/4)
	b = binary.BigEndian.AppendUint16(b, x.FileID)
	b = binary.BigEndian.AppendUint16(b, x.Section)
	b = append(b, 0, 0)
	return append(b, x.Hosts...)
}

// ParseStatus reads STATUS. It does not check the length of the bitmap, which depends
// on the section.
func ParseStatus(v Version, msg []byte) (x Status, err error) {
	hdr, body, err := splitIn(v, msg, FuncStatus, statusFixed)
	if err != nil {
		return x, err
	}
	ext, err := extension(hdr, statusFixed, ExtTFMCCAck, tfmccAckLen)
	if err != nil {
		return x, err
	}
	x.FileID = binary.BigEndian.Uint16(hdr[2:])
	x.Section = binary.BigEndian.Uint16(hdr[4:])
	x.NAKs = body
	if ext != nil {
		x.HasCC = true
		x.CC = parseTFMCCAck(ext)
	}
	return x, nil
}

// Append appends the message.
func (x *Status) Append(v Version, b []byte) []byte {
	v.must()
	n := statusFixed
	if x.HasCC {
		n += tfmccAckLen
	}
	b = append(b, byte(FuncStatus), words(n))
	b = binary.BigEndian.AppendUint16(b, x.FileID)
	b = binary.BigEndian.AppendUint16(b, x.Section)
	b = append(b, 0, 0)
	if x.HasCC {
		b = x.CC.append(b)
	}
	return append(b, x.NAKs...)
}

// ParseComplete reads COMPLETE.
func ParseComplete(msg []byte) (x Complete, err error) {
	hdr, body, err := split(msg, FuncComplete, completeFixed)
	if err != nil {
		return x, err
	}
	ext, err := extension(hdr, completeFixed, ExtFreeSpace, freeSpaceLen)
	if err != nil {
		return x, err
	}
	x.FileID = binary.BigEndian.Uint16(hdr[2:])
	x.Status = CompleteStatus(hdr[4])
	x.Clients = UIDList(body)
	if ext != nil {
		x.HasSpace = true
		x.FreeSpace = binary.BigEndian.Uint64(ext[4:])
	}
	return x, nil
}

// Append appends the message.
func (x *Complete) Append(b []byte) []byte {
	n := completeFixed
	if x.HasSpace {
		n += freeSpaceLen
	}
	b = append(b, byte(FuncComplete), words(n))
	b = binary.BigEndian.AppendUint16(b, x.FileID)
	b = append(b, byte(x.Status), 0, 0, 0)
	if x.HasSpace {
		b = append(b, byte(ExtFreeSpace), freeSpaceLen/4, 0, 0)
		b = binary.BigEndian.AppendUint64(b, x.FreeSpace)
	}
	return append(b, x.Clients...)
}
