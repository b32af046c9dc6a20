package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"sear/internal/fault"
)

// S3 says where a bucket is and who may use it. All of it is needed but
// PublicEndpoint.
type S3 struct {
	Endpoint       string // http:// or https:// URL of the service, without the bucket
	PublicEndpoint string // the same for clients and workers; "": Endpoint
	Bucket         string
	Region         string // what the service calls its region; a part of signatures
	AccessKey      string
	SecretKey      string
}

// How long the bucket may take. A request that stores or reads a packet waits for it.
const (
	startTime  = 20 * time.Second
	putTime    = time.Minute // of MaxSize over a slow line
	headTime   = 15 * time.Second
	deleteTime = 15 * time.Second
	attempts   = 3 // of a request that fails, in two seconds at most between them
)

// bucket keeps packets in an S3-compatible store, each as an object of its own under
// packets/, its environment and its path.
type bucket struct {
	name   string
	core   minio.Core
	public *minio.Client // signs for the endpoint that clients use
}

// newBucket makes sure that the bucket is there and lets Sear in.
func newBucket(ctx context.Context, c S3) (*bucket, error) {
	if c.PublicEndpoint == "" {
		c.PublicEndpoint = c.Endpoint
	}
	for _, needed := range [][2]string{{"endpoint", c.Endpoint}, {"bucket", c.Bucket}, {"region", c.Region}, {"access key", c.AccessKey}, {"secret key", c.SecretKey}} {
		if needed[1] == "" {
			return nil, fmt.Errorf("packets in S3: the %s is missing", needed[0])
		}
	}
	own, err := client(c, c.Endpoint)
	if err != nil {
		return nil, err
	}
	public, err := client(c, c.PublicEndpoint)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	found, err := own.BucketExists(ctx, c.Bucket)
	if err == nil && !found {
		err = errors.New("there is no such bucket")
	}
	if err != nil {
		return nil, fmt.Errorf("packets in S3: bucket %q at %s: %w", c.Bucket, c.Endpoint, err)
	}
	return &bucket{c.Bucket, minio.Core{Client: own}, public}, nil
}

// client makes a client of an endpoint. With a region it asks for nothing before it
// is told to.
func client(c S3, endpoint string) (*minio.Client, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		return nil, fmt.Errorf("packets in S3: the endpoint is not http:// or https:// with a host alone: %q", endpoint)
	}
	secure := u.Scheme == "https"
	transport, err := minio.DefaultTransport(secure)
	if err != nil {
		return nil, err
	}
	transport.ResponseHeaderTimeout = headTime
	made, err := minio.New(u.Host, &minio.Options{
		Creds:  credentials.NewStaticV4(c.AccessKey, c.SecretKey, ""),
		Secure: secure, Region: c.Region, Transport: transport, MaxRetries: attempts,
	})
	if err != nil {
		return nil, fmt.Errorf("packets in S3: %w", err)
	}
	return made, nil
}

// key is the name of a packet's object. S3 takes 1024 bytes.
func key(envID, path string) string { return "packets/" + envID + "/" + path }

// put has the store check the content by its MD5, which is signed and which every
// S3-compatible one knows. The alternative, a body of signed chunks, is not understood
// by all, and Versity's takes the end of an empty one for the next request.
func (b *bucket) put(ctx context.Context, envID, path, mediaType string, r io.Reader) error {
	content, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, putTime)
	defer cancel()
	_, err = b.core.Client.PutObject(ctx, b.name, key(envID, path), bytes.NewReader(content), int64(len(content)), minio.PutObjectOptions{
		ContentType: mediaType, SendContentMd5: true, DisableContentSha256: true, DisableMultipart: true,
	})
	return failed(err)
}

func (b *bucket) open(ctx context.Context, envID, path string) (*Packet, error) {
	body, info, _, err := b.core.GetObject(ctx, b.name, key(envID, path), minio.GetObjectOptions{})
	if minio.ToErrorResponse(err).Code == minio.NoSuchKey {
		return nil, errMissing
	}
	if err != nil {
		return nil, failed(err)
	}
	return &Packet{Type: info.ContentType, Size: info.Size, body: body, close: body.Close}, nil
}

func (b *bucket) delete(ctx context.Context, envID, path string) error {
	ctx, cancel := context.WithTimeout(ctx, deleteTime)
	defer cancel()
	return failed(b.core.RemoveObject(ctx, b.name, key(envID, path), minio.RemoveObjectOptions{}))
}

// address signs the host alone, so that the client is free in its other headers.
func (b *bucket) address(method, envID, path string, life time.Duration) (string, error) {
	u, err := b.public.Presign(context.Background(), method, b.name, key(envID, path), life, nil)
	if err != nil {
		return "", fmt.Errorf("sign the address of a packet: %w", err)
	}
	return u.String(), nil
}

// failed is an error of the bucket as callers learn it: they may try again.
func failed(err error) error {
	if err == nil {
		return nil
	}
	return fault.Wrap(fault.Unavailable, err, "Large payloads cannot be stored or read at the moment")
}
